"""What the business's data says to one sentence of a client."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from llm_service.domain.asking import CLOSE_RANK, SURE, Act, Asking, Piece
from llm_service.domain.faq_choice import near, surely_meant, unless_rivals, worth_telling
from llm_service.domain.follow_ups import follow_up, links, reckoned
from llm_service.domain.gift_answers import gift_ideas, with_budget
from llm_service.domain.knowledge import Knowledge, kind_of, product_row
from llm_service.domain.normalise import fold, stem, words
from llm_service.domain.phrases import clauses, spoken
from llm_service.domain.price_answers import by_size, plausible, priced
from llm_service.domain.product_answers import categories, products_text, sum_text
from llm_service.domain.product_texts import LONGEST_LIST
from llm_service.domain.query import content_words
from llm_service.domain.values import Row
from llm_service.domain.wishes import Wish

DESCRIBED_FLOOR = 0.27
SUGGESTED_FLOOR = 0.34
MOST_SUGGESTED = 3
ASIDE_PRODUCT_FLOOR = 0.88
FIXED = {name: name for name in ("bot", "upset", "confused", "wrong_number")} | {"instructions": "off_topic"}
Found = tuple[tuple[Row, ...], tuple[Row, ...]]


def _close_to_best(rows: Sequence[Row]) -> tuple[Row, ...]:
    best = max((row.score for row in rows), default=0.0)
    rank = max((row.rank for row in rows), default=0.0)
    whole = [row for row in rows if not row.missing]
    close = [row for row in whole or rows if row.score >= best * SURE and row.rank >= rank * CLOSE_RANK]
    return tuple(sorted(close, key=lambda row: row.stock == 0)[:LONGEST_LIST])


def _asks_how(asking: Asking, text: str) -> bool:
    return bool(set(words(text)) & asking.knowledge.lexicon.asking)


def _search(asking: Asking, text: str) -> Found:
    found = asking.knowledge.find_products(text, LONGEST_LIST * 4)
    products = _close_to_best(_of_asked_kind(asking, text, found))
    phrases = asking.voice.phrases
    faqs = unless_rivals(
        asking.knowledge.find_faqs(phrases.as_asked(text), 2, asking.language, shops=phrases.shops(text))
    )
    faqs = worth_telling(asking, text, faqs)
    if asking.is_aside:
        products = tuple(row for row in products if not row.missing and row.score >= ASIDE_PRODUCT_FLOOR)
        faqs = surely_meant(asking, text, faqs)
    if products and products[0].missing and not faqs:
        missing = " ".join(sorted(products[0].missing))
        faqs = near(asking, text, asking.knowledge.find_faqs(missing, 1, asking.language, shops=True))
        products = tuple(replace(row, missing=frozenset()) for row in products) if faqs else products
    if not products or not faqs:
        return products, faqs
    return _parted(asking, text, products, faqs)


def _names_kind(asking: Asking, said: Iterable[str]) -> bool:
    """Tell whether a word is what a product is, rather than something about it."""
    terms = asking.knowledge.product_index.query(" ".join(sorted(said))).terms
    return any(
        stem_ in asking.knowledge.kinds for term in terms for stem_, weight in term.alternatives if weight >= 0.9
    )


def _of_asked_kind(asking: Asking, text: str, rows: Sequence[Row]) -> Sequence[Row]:
    """Return the rows that are what was asked for, where some are: `jean` wants no denim jacket."""
    terms = asking.knowledge.product_index.query(text).terms
    asked = {stem_ for term in terms for stem_, weight in term.alternatives if weight >= 0.9}
    return [row for row in rows if kind_of(row.title) in asked] or rows


def _parted(asking: Asking, text: str, products: tuple[Row, ...], faqs: tuple[Row, ...]) -> Found:
    """Return what a sentence is about where both products and a question fit it."""
    by_product, by_faq = products[0].covered, faqs[0].covered
    shops = asking.voice.phrases.shops(text)
    is_product = shops or products[0].score >= faqs[0].score or _names_kind(asking, by_product)
    if by_faq <= by_product and is_product and not _asks_how(asking, text):
        return products, ()
    if by_faq < by_product and products[0].score >= faqs[0].score:
        return products, ()
    if by_product <= by_faq or (faqs[0].score > products[0].score and not _names_kind(asking, by_product - by_faq)):
        return (), faqs
    return tuple(replace(row, missing=row.missing - by_faq) for row in products), faqs


def _faq_text(asking: Asking, row: Row) -> str:
    if row.language and row.language != asking.language:
        return asking.say("other_language", answer=row.text)
    return row.text


def _answer(asking: Asking, found: Found, wish: Wish) -> Piece | None:
    products, faqs = found
    texts = [_faq_text(asking, row) for row in faqs]
    used = faqs
    if products:
        text, rows = products_text(asking, products, wish)
        texts.append(text)
        used = (*used, *rows)
    return Piece(Act.ANSWER, "\n".join(texts), used) if texts else None


def _uncounted(asking: Asking, wish: Wish) -> str:
    """Return what to search for: without the quantity, unless the number belongs to a product's name."""
    if not wish.count:
        return wish.rest
    found = asking.knowledge.find_products(wish.rest, 1)
    is_named = bool(found) and str(wish.count) in words(found[0].title)
    return wish.rest if is_named else wish.uncounted


def _of_clause(asking: Asking, clause: str) -> Piece | None:
    wish = asking.voice.wishing.read(clause)
    text = _uncounted(asking, wish)
    return _answer(asking, _search(asking, text), wish)


def _by_clauses(asking: Asking, wish: Wish) -> Piece | None:
    parts = clauses(wish.rest)
    if len(parts) < 2:
        return None
    found = [_of_clause(asking, part) for part in parts]
    pieces = list({piece.text: piece for piece in found if piece}.values())
    if not pieces:
        return None
    rows = tuple(row for piece in pieces for row in piece.rows)
    texts = [piece.text for piece in pieces]
    if wish.asks_total and len(pieces) == len(rows):
        texts.append(sum_text(asking, rows))
    return Piece(Act.ANSWER, "\n".join(text for text in texts if text), rows)


def _searched(asking: Asking, wish: Wish) -> Piece | None:
    text = _uncounted(asking, wish)
    found = _search(asking, text)
    rows = [row for part in found for row in part]
    covered = frozenset(word for row in rows for word in row.covered)
    asks_twice = sum(_asks_how(asking, part) for part in clauses(text)) > 1
    is_whole = not asks_twice and bool(rows) and set(content_words(text, asking.knowledge.lexicon)) <= covered
    if not is_whole and not asking.is_aside:
        parted = _by_clauses(asking, wish)
        is_lacking = any(row.missing for row in found[0]) and parted is not None and len(parted.rows) >= len(rows)
        best = max((row.score for row in rows), default=0.0)
        if parted and (len(parted.rows) > len(rows) or best < SURE or is_lacking):
            return parted
    return _answer(asking, found, wish)


def _suggested(asking: Asking, wish: Wish) -> Piece | None:
    """Return products whose meaning is near a wish that names none, marked as suggestions."""
    floor = DESCRIBED_FLOOR if wish.is_descriptive else SUGGESTED_FLOOR
    if asking.is_aside:
        return None
    near = asking.knowledge.suggest(wish.rest, MOST_SUGGESTED)
    if not near or near[0].score < floor or not content_words(wish.rest, asking.knowledge.lexicon):
        return None
    text, used = products_text(asking, near, wish, "closest")
    return Piece(Act.ANSWER, text, used)


def _offered_instalments(asking: Asking, wish: Wish) -> Piece | None:
    most = asking.voice.max_installments
    if not wish.instalments or not most:
        return None
    faqs = asking.knowledge.find_faqs(wish.rest, 1, asking.language)
    if faqs and any(word.startswith(("cuota", "parcela", "instal")) for word in faqs[0].covered):
        return None
    return Piece(Act.ANSWER, asking.say("instalments_offered", most=str(most)))


def _quick(asking: Asking, sentence: str) -> Piece | None:
    folded = f" {' '.join(spoken(sentence))} "
    for phrases, answer in asking.voice.quick:
        if any(f" {' '.join(spoken(phrase))} " in folded for phrase in phrases if spoken(phrase)):
            return Piece(Act.ANSWER, answer)
    return None


def _is_told(asking: Asking, sentence: str) -> bool:
    """Tell whether a sentence is one of a language that we know, rather than keys that were hit."""
    return len(content_words(sentence, asking.knowledge.lexicon)) < len(words(sentence))


def _unanswered(asking: Asking, sentence: str) -> Piece:
    if asking.voice.phrases.laughs(sentence):
        return Piece(Act.SOCIAL, asking.say("acknowledged"))
    asked = [word for word in content_words(sentence, asking.knowledge.lexicon) if not word.isdigit()]
    if not asked:
        return Piece(Act.NOTHING)
    is_product = asking.intent in ("product_inquiry", "price_inquiry", "availability_inquiry")
    if asking.voice.phrases.shops(sentence) or is_product:
        return Piece(Act.NOT_FOUND)
    if asking.is_aside and asking.intent == "greeting":
        return Piece(Act.SOCIAL)
    if asking.is_aside and ("?" in sentence or _is_told(asking, sentence)):
        return Piece(Act.OFF_TOPIC)
    if "?" in sentence:
        return Piece(Act.UNANSWERABLE if len(asked) > 1 else Act.NOT_FOUND)
    return Piece(Act.UNCLEAR)


def _of_data(asking: Asking, kind: str, wish: Wish) -> Piece | None:
    text = wish.rest
    return (
        links(asking, kind)
        or by_size(asking, wish)
        or reckoned(asking, wish)
        or priced(asking, wish)
        or (categories(asking) if kind == "catalogue" else None)
        or gift_ideas(asking, wish)
        or _offered_instalments(asking, wish)
        or follow_up(asking, text, wish)
        or _searched(asking, wish)
        or _suggested(asking, wish)
    )


def _buys(asking: Asking, sentence: str) -> bool:
    """Tell whether words of mere chat ask for what is sold: `quiero una consulta` in a clinic."""
    return asking.voice.phrases.shops(sentence) and any(stem(w) in asking.knowledge.kinds for w in words(sentence))


def _manners(asking: Asking, sentence: str, kind: str) -> Piece | None:
    """Return the answer to a sentence that says nothing of its own; None for any other."""
    if kind == "takes_it":
        return Piece(Act.UNCLEAR)
    if _buys(asking, sentence):
        return None
    if asking.voice.phrases.is_opening(sentence):
        return Piece(Act.OPENING)
    social = asking.voice.phrases.social(sentence)
    if social is None:
        return None
    return Piece(Act.SOCIAL, asking.say(social) if social else "")


def answer_sentence(asking: Asking, sentence: str) -> Piece:
    """Return what the data says to `sentence`; the act tells when it says nothing."""
    kind = asking.voice.phrases.kind(sentence)
    if kind in FIXED:
        return Piece(Act.ANSWER, asking.say(FIXED[kind]))
    quick = _quick(asking, sentence)
    if quick:
        return quick
    manners = _manners(asking, sentence, kind)
    if manners:
        return manners
    asked = asking.voice.phrases.without_manners(sentence)
    wish = plausible(asking, with_budget(asking, asked), asked)
    if not spoken(wish.rest) and not wish.limits_price and wish.order.value == "fitting":
        return Piece(Act.SOCIAL, asking.say("declined"))
    return _of_data(asking, kind, wish) or _unanswered(asking, sentence)


def products_named(knowledge: Knowledge, text: str) -> tuple[Row, ...]:
    """Return the products that `text` names in full, by name, SKU or link, in the order it names them."""
    folded = fold(text)
    found: list[tuple[int, Row]] = []
    for sku, names in knowledge.folded_names.items():
        places = [place for name in names if (place := folded.find(name)) >= 0]
        if places:
            found.append((min(places), product_row(knowledge.products[sku])))
    return _longest(folded, tuple(row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1].id))))


def _longest(folded: str, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the rows without those whose name is only found inside another's, such as `Sartén` in `Sartén 24 cm`."""
    names = {row.id: fold(row.title) for row in rows}

    def stands_alone(row: Row) -> bool:
        rest = folded
        for other in rows:
            if other.id != row.id and names[row.id] in names[other.id] and names[row.id] != names[other.id]:
                rest = rest.replace(names[other.id], " ")
        return rest is folded or names[row.id] in rest

    return tuple(row for row in rows if stands_alone(row))
