"""Replies from the business's data alone: no model, nothing invented, a person where the data does not say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from llm_service.domain.asking import SURE, Act, Asking, Piece, best_of
from llm_service.domain.knowledge import Knowledge, faq_row
from llm_service.domain.phrases import sentences
from llm_service.domain.sentence_replies import answer_sentence, products_named
from llm_service.domain.values import Handover, Kind, Question, Row, Said, Speaker, Urgency
from llm_service.domain.voice import Voice

MODEL_NAME = "business-data"
MEDIA_TEXTS = {
    "voice": "media_voice",
    "audio": "media_voice",
    "picture": "media_picture",
    "video": "media_video",
    "file": "media_file",
    "location": "media_location",
    "contact": "media_contact",
    "sticker": "media_sticker",
}
HANDOVERS = {
    "emergency": ("emergency", "reason_emergency", Urgency.CRITICAL),
    "person": ("human_request", "reason_person", Urgency.HIGH),
    "own_order": ("own_order", "reason_own_order", Urgency.HIGH),
    "appointment": ("appointment", "reason_appointment", Urgency.MEDIUM),
    "order": ("order", "reason_order", Urgency.MEDIUM),
}
ASIDE_INTENTS = ("other", "greeting")
ASIDE_CONFIDENCE = 0.85
CONTEXT_MESSAGES = 12
MOST_CONTEXT = 5
MOST_NAMED = 3
SURE_INTENT = 0.9
SURE_ANSWER = 0.8
LEAST_NAMED = 0.8
SIGNS = {"taking": ("ok",), "refusing": ("no",)}
GIFT_QUESTIONS = ("gift_question", "gift_budget")
GIFT_REPLIES = 2
NAMING = ("order", "appointment")
ASKING_NOTHING = (Act.ANSWER, Act.SOCIAL, Act.NOTHING, Act.OPENING)


@dataclass(frozen=True, slots=True)
class DataReply:
    """A text or a reason for a person, with the rows that were used; `is_whole` when nothing asked is left open."""

    result: str | Handover
    rows: tuple[Row, ...] = ()
    is_whole: bool = False


def handover(voice: Voice, code: str, text: str, priority: Urgency, *, is_failure: bool = False) -> Handover:
    """Return why a person is needed, told in the business's language."""
    return Handover(code, voice.say(text, voice.language), priority, is_failure)


def _last_reply(question: Question) -> str:
    said = next((said for said in reversed(question.history) if said.speaker is not Speaker.SYSTEM), None)
    return said.text if said and said.speaker is Speaker.BOT else ""


def _ends_with_text(reply: str, voice: Voice, name: str) -> bool:
    said = reply.rstrip()
    return any(said.endswith(text.replace("{business}", voice.business)) for text in voice.texts.variants(name))


def _groups(question: Question, knowledge: Knowledge) -> list[tuple[Row, ...]]:
    """Return the products of each recent message that has any, the newest first.

    Those that our side named count; what the client asked for counts only where our side named none.
    """
    recent = [said for said in reversed(question.history[-CONTEXT_MESSAGES:]) if said.text]
    ours = [products_named(knowledge, said.text) for said in recent if said.speaker in (Speaker.BOT, Speaker.PERSON)]
    groups = [group for group in ours if group]
    if groups:
        return groups
    theirs = (knowledge.find_products(said.text, MOST_CONTEXT) for said in recent if said.speaker is Speaker.CLIENT)
    return [group for group in theirs if group and group[0].score >= LEAST_NAMED]


def _spoke_of_gifts(question: Question, voice: Voice) -> bool:
    """Tell whether one of our last messages spoke of gifts."""
    replies = [said.text for said in question.history if said.speaker is Speaker.BOT][-GIFT_REPLIES:]
    told = [text for name in (*GIFT_QUESTIONS, "gift_options") for text in voice.texts.variants(name)]
    return any(text in reply for text in told for reply in replies)


def _topic(question: Question, knowledge: Knowledge) -> tuple[Row, ...]:
    """Return the questions that our last message answered."""
    last = _last_reply(question)
    return tuple(faq_row(faq) for faq in knowledge.faqs.values() if last and faq.answer in last)


def _sentences_of(burst: Iterable[Said]) -> list[str]:
    return [sentence for said in burst for sentence in sentences(said.text)]


def _media_pieces(asking: Asking, burst: Sequence[Said]) -> list[Piece]:
    if any(said.text.strip() for said in burst):
        # Beside words, the caller tells a client itself what becomes of files.
        return []
    names = [MEDIA_TEXTS.get(s.content_type, "media_other") for s in burst if s.content_type != "text" and not s.text]
    return [Piece(Act.ANSWER, asking.voice.say(name, asking.language)) for name in dict.fromkeys(names)]


def _answers(asking: Asking, spoken: Sequence[str]) -> list[Piece]:
    pieces: list[Piece] = []
    for sentence in spoken:
        piece = answer_sentence(asking, sentence)
        products = tuple(row for row in piece.rows if row.kind is Kind.PRODUCT)
        if products:
            asking = replace(asking, context=products, earlier=(*_single(asking.context), *asking.earlier))
        pieces.append(piece)
    return list({(piece.act, piece.text): piece for piece in pieces}.values())


def _single(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    return rows if len(rows) == 1 else ()


def _wanted_handover(asking: Asking, spoken: Sequence[str]) -> Handover | None:
    voice = asking.voice
    kinds = [voice.phrases.kind(sentence) for sentence in spoken]
    asking = _with_named_now(asking, [text for text, kind in zip(spoken, kinds, strict=True) if kind != "takes_it"])
    if asking.context:
        kinds = ["order" if kind == "takes_it" else kind for kind in kinds]
    for kind, (code, text, priority) in HANDOVERS.items():
        if kind in kinds:
            wanted = handover(voice, code, text, priority)
            return _with_products(wanted, asking) if kind in NAMING else wanted
    return None


def _wants_slot(asking: Asking, question: Question, spoken: Sequence[str], pieces: Sequence[Piece]) -> bool:
    """Tell whether a burst is surely about an appointment, whatever its words, and no row says what it asks."""
    if question.intent != "appointment" or question.confidence < SURE_INTENT:
        return False
    is_told = any(row.kind is Kind.FAQ and row.score >= SURE_ANSWER for piece in pieces for row in piece.rows)
    return not is_told and all(asking.voice.phrases.kind(sentence) != "appointment_topic" for sentence in spoken)


def _with_named_now(asking: Asking, spoken: Sequence[str]) -> Asking:
    """Return the asking with the products that the burst itself names as those spoken of."""
    knowledge = asking.knowledge
    for sentence in spoken:
        named = products_named(knowledge, sentence)
        found = knowledge.find_products(sentence, MOST_NAMED)
        if named or (found and found[0].score >= SURE and not found[0].missing):
            return replace(asking, context=named or tuple(best_of(found)))
    return asking


def _with_products(wanted: Handover, asking: Asking) -> Handover:
    """Return the reason with the products spoken of, so that the person need not ask again."""
    if not asking.context:
        return wanted
    names = ", ".join(row.title for row in asking.context[:MOST_NAMED])
    voice = asking.voice
    return replace(wanted, reason=voice.say("reason_products", voice.language, reason=wanted.reason, products=names))


def _reaction(voice: Voice, language: str, question: Question, spoken: Sequence[str]) -> DataReply | None:
    """Return what a plain yes or no to our offer of a person leads to."""
    if not _ends_with_text(_last_reply(question), voice, "offer"):
        return None
    if not spoken:
        spoken = SIGNS.get(voice.phrases.sign(" ".join(said.text for said in question.burst)), ())
    if spoken and all(voice.phrases.is_yes(sentence) for sentence in spoken):
        return DataReply(handover(voice, "human_request", "reason_person", Urgency.MEDIUM))
    if spoken and all(voice.phrases.is_no(sentence) for sentence in spoken):
        return DataReply(voice.say("declined", language), is_whole=True)
    return None


def _was_at_a_loss(question: Question, voice: Voice) -> bool:
    last = _last_reply(question)
    return any(_ends_with_text(last, voice, name) for name in ("offer", "clarify"))


def _nothing_found(asking: Asking, question: Question, pieces: Sequence[Piece]) -> DataReply:
    acts = {piece.act for piece in pieces}
    rows = tuple(row for piece in pieces for row in piece.rows)
    voice, language = asking.voice, asking.language
    if Act.OFF_TOPIC not in acts and _was_at_a_loss(question, voice):
        priority = Urgency.MEDIUM if Act.UNANSWERABLE in acts else Urgency.LOW
        return DataReply(handover(voice, "no_answer_in_data", "reason_no_answer", priority), rows)
    offer = voice.say("offer", language)
    if Act.OFF_TOPIC in acts and not _ends_with_text(_last_reply(question), voice, "off_topic"):
        return DataReply(voice.say("off_topic", language), rows)
    if Act.NO_DETAIL in acts:
        return DataReply(f"{next(p.text for p in pieces if p.act is Act.NO_DETAIL)} {offer}", rows)
    if acts & {Act.NOT_FOUND, Act.UNANSWERABLE, Act.OFF_TOPIC}:
        return DataReply(f"{voice.say('not_found', language)} {offer}", rows)
    return DataReply(voice.say("clarify", language), rows)


def _greeting(voice: Voice, language: str, question: Question, *, alone: bool) -> str:
    if any(said.speaker in (Speaker.BOT, Speaker.PERSON) for said in question.history):
        ask = f" {voice.say('greeting_question', language)}" if alone else ""
        return f"{voice.say('greeting_short', language)}{ask}"
    if not alone:
        return voice.say("greeting_short", language)
    first = voice.say("greeting", language)
    return first if language in voice.own_texts.get("greeting", {}) else _with_question(first, voice, language)


def _opening(voice: Voice, language: str, question: Question, spoken: Sequence[str]) -> str:
    """Return the answer to somebody who only says that a question will come."""
    if not any(said.speaker in (Speaker.BOT, Speaker.PERSON) for said in question.history):
        return _greeting(voice, language, question, alone=True)
    hello = [voice.say("greeting_short", language)] if any(voice.phrases.opens(text) for text in spoken) else []
    return " ".join([*hello, voice.say("opening_question", language)])


def _with_question(text: str, voice: Voice, language: str) -> str:
    return f"{text} {voice.say('greeting_question', language)}"


def _unrepeated(asking: Asking, question: Question, text: str) -> str:
    """Return a close that our last message did not hold already, since nobody says the same twice."""
    return asking.say("acknowledged_again") if text in _last_reply(question) else text


def _compose(asking: Asking, question: Question, spoken: Sequence[str], pieces: Sequence[Piece]) -> DataReply:
    voice, language = asking.voice, asking.language
    answers = [piece.text for piece in pieces if piece.act is Act.ANSWER]
    social = [piece for piece in pieces if piece.act is Act.SOCIAL]
    opening = any(piece.act is Act.OPENING for piece in pieces)
    lost = [piece for piece in pieces if piece.act not in ASKING_NOTHING]
    if opening and not answers and not lost:
        return DataReply(_opening(voice, language, question, spoken), is_whole=True)
    if not answers and (lost or not social):
        return _nothing_found(asking, question, lost)
    texts: list[str] = []
    only_manners = not answers and any(piece.text for piece in social)
    opens = any(voice.phrases.opens(sentence) for sentence in spoken) and not only_manners
    if opens or any(not piece.text for piece in social):
        alone = not answers and not any(piece.text for piece in social)
        texts.append(_greeting(voice, language, question, alone=alone))
    texts.extend(answers)
    if any(piece.act not in (Act.UNCLEAR, Act.OFF_TOPIC) for piece in lost):
        texts.append(f"{voice.say('rest_unknown', language)} {voice.say('offer', language)}")
    elif not answers:
        texts.extend(_unrepeated(asking, question, piece.text) for piece in social[-1:] if piece.text)
    rows = {(row.kind, row.id): row for piece in pieces for row in piece.rows}
    return DataReply("\n\n".join(texts), tuple(rows.values()), is_whole=not lost)


def _wordless(asking: Asking, question: Question) -> Piece:
    """Return the answer to signs without a word, such as a thumb up: fine after a reply, unclear without one."""
    signs = " ".join(said.text for said in question.burst)
    if not signs.strip() or "?" in signs:
        return Piece(Act.UNCLEAR)
    if asking.voice.phrases.sign(signs) == "scolding":
        return Piece(Act.ANSWER, asking.say("upset"))
    if not _last_reply(question):
        return Piece(Act.SOCIAL)
    return Piece(Act.SOCIAL, asking.voice.say("acknowledged", asking.language))


def reply_from_data(question: Question, knowledge: Knowledge, voice: Voice) -> DataReply:
    """Return what the business's data alone says to a burst, each sentence searched for itself.

    Args:
        question: the burst and what came before it.
        knowledge: the business's rows.
        voice: its fixed texts.
    """
    language = voice.language_of(question)
    spoken = _sentences_of(question.burst)
    context, *before = _groups(question, knowledge) or [()]
    earlier = tuple(row for group in before for row in _single(group))
    topic = _topic(question, knowledge)
    last = _last_reply(question)
    asking = Asking(
        knowledge,
        voice,
        language,
        context[:MOST_CONTEXT],
        question.intent,
        earlier,
        topic,
        is_aside=question.intent in ASIDE_INTENTS and question.confidence >= ASIDE_CONFIDENCE,
        awaits_gift=any(_ends_with_text(last, voice, name) for name in GIFT_QUESTIONS),
        awaits_budget=_spoke_of_gifts(question, voice),
    )
    wanted = _wanted_handover(asking, spoken)
    if wanted:
        return DataReply(wanted)
    reaction = _reaction(voice, language, question, spoken)
    if reaction:
        return reaction
    pieces = [*_media_pieces(asking, question.burst), *_answers(asking, spoken)]
    if _wants_slot(asking, question, spoken, pieces):
        return DataReply(_with_products(handover(voice, *HANDOVERS["appointment"]), asking))
    if not pieces:
        pieces = [_wordless(asking, question)]
    return _compose(asking, question, spoken, pieces)
