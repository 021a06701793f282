"""Short sentences that only make sense after what was said before."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from llm_service.domain.asking import SURE, Act, Asking, Piece
from llm_service.domain.knowledge import kind_of, product_row
from llm_service.domain.normalise import stem, words
from llm_service.domain.phrases import spoken
from llm_service.domain.product_answers import MOST_DETAILED, instalments_text, products_text, quantity_text, sum_text
from llm_service.domain.product_texts import LONGEST_LIST, links_text, product_text
from llm_service.domain.query import Term, content_words
from llm_service.domain.values import Kind, Row
from llm_service.domain.wishes import Together, Wish

LONGEST_FOLLOW_UP = 8
MOST_SUMMED = 5
SHORTEST_SENTENCE = 2
MOST_ABOUT_TOPIC = 4


def links(asking: Asking, kind: str) -> Piece | None:
    """Return the links of the products spoken of, where a link is asked for."""
    if kind != "link" or not asking.context:
        return None
    return Piece(Act.ANSWER, links_text(asking.context, asking.voice, asking.language), asking.context)


def _summed(asking: Asking, wish: Wish) -> tuple[Row, ...]:
    wanted = 2 if wish.together is Together.TWO else MOST_SUMMED
    if len(asking.context) > 1:
        fits = wish.together is Together.ALL or len(asking.context) == wanted
        return asking.context if fits else ()
    rows = {row.id: row for row in (*asking.context, *asking.earlier)}
    return tuple(rows.values())[:wanted]


def reckoned(asking: Asking, wish: Wish) -> Piece | None:
    """Return what follows from prices told before: a sum, so many of one, or its instalments."""
    if wish.together is not Together.NONE:
        rows = _summed(asking, wish)
        text = sum_text(asking, rows) if len(rows) > 1 else ""
        if text:
            return Piece(Act.ANSWER, text, rows)
    if len(asking.context) != 1 or len(spoken(wish.rest)) > LONGEST_FOLLOW_UP or _is_size(asking, wish):
        return None
    row = asking.context[0]
    if wish.instalments:
        text = instalments_text(asking, wish, row)
    elif wish.count and (wish.of in asking.voice.wishing.clients or not _names_another(asking, wish)):
        text = quantity_text(asking, wish, row)
    else:
        return None
    return Piece(Act.ANSWER, f"{row.title}. {text}" if wish.count else text, (row,)) if text else None


def _is_size(asking: Asking, wish: Wish) -> bool:
    """Tell whether the number belongs to the name of a product of this kind, such as `4 galones`."""
    if not wish.count:
        return False
    wanted, products = (str(wish.count), stem(wish.of)), asking.knowledge.products
    held = (sku for sku in _siblings(asking) if set(wanted) <= asking.knowledge.stems[sku])
    titles = ([stem(word) for word in words(products[sku].name)] for sku in held)
    return any(wanted in pairwise(title) for title in titles)


def _names_another(asking: Asking, wish: Wish) -> bool:
    asked = [word for word in content_words(wish.uncounted, asking.knowledge.lexicon) if word != wish.of]
    held = asking.knowledge.stems[asking.context[0].id]
    return any(stem(word) not in held for word in asked)


def _holds(stems: frozenset[str], term: Term) -> bool:
    return any(alternative in stems for alternative, _ in term.alternatives)


def _siblings(asking: Asking) -> list[str]:
    """Return the SKUs of everything that is what the products spoken of are."""
    kinds = dict.fromkeys(kind_of(row.title) for row in asking.context)
    return [sku for kind in kinds for sku in asking.knowledge.kinds.get(kind, ())]


def _rows(asking: Asking, skus: Iterable[str]) -> list[Row]:
    return [product_row(asking.knowledge.products[sku]) for sku in skus]


def _common_words(rows: Sequence[Row]) -> frozenset[str]:
    titles = [frozenset(stem(word) for word in words(row.title)) for row in rows]
    return frozenset.intersection(*titles) if titles else frozenset()


def _most_alike(asking: Asking, rows: Sequence[Row]) -> list[Row]:
    """Return the rows that share most words with the names spoken of."""
    common = _common_words(asking.context)
    shared = {row.id: len(common & {stem(word) for word in words(row.title)}) for row in rows}
    most = max(shared.values(), default=0)
    return [row for row in rows if shared[row.id] == most]


def _is_about_others(asking: Asking, sentence: str, terms: Sequence[Term]) -> bool:
    """Tell whether the sentence names another thing than those spoken of."""
    kinds = {kind_of(row.title) for row in asking.context}
    others = asking.knowledge.kinds
    if any(
        stem_ in others and stem_ not in kinds for term in terms for stem_, weight in term.alternatives if weight == 1
    ):
        return True
    known = {row.id for row in asking.context}
    found = asking.knowledge.find(sentence, LONGEST_LIST)
    if not found or found[0].score < SURE or any(row.id in known or kind_of(row.title) in kinds for row in found):
        return False
    # A colour that another thing comes in is asked of the thing spoken of; only a name leads away from it.
    named = frozenset(stem(word) for word in words(found[0].title))
    return found[0].kind is Kind.FAQ or any(_holds(named, term) for term in terms)


def _told(asking: Asking, rows: list[Row], terms: Sequence[Term], wish: Wish) -> Piece:
    named = all(_holds(frozenset(stem(w) for w in words(row.title)), term) for row in rows for term in terms)
    if not named and 1 < len(rows) <= MOST_DETAILED:
        told = "\n".join(product_text(row, asking.voice, asking.language, with_link=False) for row in rows)
        return Piece(Act.ANSWER, told, tuple(rows))
    text, used = products_text(asking, rows, wish)
    return Piece(Act.ANSWER, text, used)


def _variant(asking: Asking, sentence: str, wish: Wish) -> Piece | None:
    """Return the products spoken of, or others of their kind, that are as the sentence wants them."""
    terms = asking.knowledge.product_index.query(sentence).terms
    stems = asking.knowledge.stems
    if terms and len(asking.context) == 1 and all(_holds(stems[asking.context[0].id], term) for term in terms):
        return _told(asking, list(asking.context), terms, wish)
    if not terms or _is_about_others(asking, sentence, terms):
        return None
    among = [row for row in asking.context if all(_holds(stems[row.id], term) for term in terms)]
    if among and len(asking.context) > 1 and len(asking.context) < LONGEST_LIST:
        return _told(asking, among, terms, wish)
    fitting = [sku for sku in _siblings(asking) if all(_holds(stems[sku], term) for term in terms)]
    if fitting:
        return _told(asking, _most_alike(asking, _rows(asking, fitting)), terms, wish)
    return _nearest_variant(asking, sentence, terms)


def _nearest_variant(asking: Asking, sentence: str, terms: Sequence[Term]) -> Piece | None:
    kinds = {kind_of(row.title) for row in asking.context}
    if any(kind_of(row.title) not in kinds for row in asking.knowledge.find_products(sentence, 1)):
        return None
    stems = asking.knowledge.stems
    held = {sku: sum(_holds(stems[sku], term) for term in terms) for sku in _siblings(asking)}
    most = max(held.values(), default=0)
    if not most or len(terms) < 2:
        return None
    rows = _most_alike(asking, _rows(asking, (sku for sku in held if held[sku] == most)))
    text, used = products_text(asking, rows, intro="closest")
    return Piece(Act.ANSWER, text, used)


def _of_topic(asking: Asking, sentence: str, asked: Sequence[str]) -> Piece | None:
    """Return what the question answered last says with these words in it: `y a Bariloche?`; else that answer again."""
    wanted = {stem(word) for word in asked}
    for row in asking.topic:
        found = asking.knowledge.find_faqs(f"{row.title} {sentence}", 1, asking.language)
        if found and set(asked) <= found[0].covered:
            return Piece(Act.ANSWER, found[0].text, found)
    for row in asking.topic:
        if wanted <= {stem(word) for word in words(f"{row.title} {row.text}")}:
            return Piece(Act.ANSWER, row.text, (row,))
    return None


def _of_bare_question(asking: Asking, sentence: str) -> Piece | None:
    """Return what a question word alone asks after an answer: `¿cuántas?` after one about instalments."""
    said = words(sentence)
    lexicon = asking.knowledge.lexicon
    if not set(said) & (lexicon.asking | asking.voice.phrases.words["counting"]) or content_words(sentence, lexicon):
        return None
    if asking.context and set(said) & (lexicon.pricing - asking.voice.phrases.words["counting"]):
        # What it costs is asked of the product spoken of before.
        return None
    rows = asking.knowledge.find_faqs(f"{sentence} {asking.topic[0].title}", MOST_ABOUT_TOPIC, asking.language)
    if set(said) & lexicon.pricing:
        # Who asks how much wants a number, which the answer told last may not have.
        rows = tuple(row for row in rows if any(character.isdigit() for character in row.text))
    near = {row.id for row in asking.knowledge.find_faqs(sentence, MOST_ABOUT_TOPIC, asking.language)}
    rows = tuple(sorted(rows, key=lambda row: row.id not in near))
    return Piece(Act.ANSWER, rows[0].text, rows[:1]) if rows else None


def follow_up(asking: Asking, sentence: str, wish: Wish) -> Piece | None:
    """Return what a short sentence means after what was said; None where it stands for itself."""
    asked = content_words(sentence, asking.knowledge.lexicon)
    if len(spoken(sentence)) > LONGEST_FOLLOW_UP:
        return None
    phrases = asking.voice.phrases
    goes_on = phrases.follows(sentence) or len(spoken(sentence)) <= SHORTEST_SENTENCE
    if asked and asking.topic and goes_on and (again := _of_topic(asking, sentence, asked)):
        return again
    if asking.topic and not asked and (bare := _of_bare_question(asking, sentence)):
        return bare
    if not asking.context:
        return None
    if not asked:
        asks = set(words(sentence)) & asking.knowledge.lexicon.asking
        if not phrases.shops(sentence) or (asks and asking.knowledge.find_faqs(sentence, 1)):
            return None
        text, used = products_text(asking, asking.context, wish)
        return Piece(Act.ANSWER, text, used)
    if asking.topic and not phrases.follows(sentence) and asking.knowledge.find_faqs(sentence, 1):
        return None
    found = _variant(asking, sentence, wish)
    if found or not phrases.follows(sentence):
        return found
    if asking.knowledge.find(sentence, 1):
        return None
    name = asking.context[0].title
    return Piece(Act.NO_DETAIL, asking.say("detail_unknown", name=name), asking.context[:1])
