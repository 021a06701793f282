"""Which of the questions that a sentence resembles are worth answering."""

from llm_service.domain.asking import Asking
from llm_service.domain.normalise import words
from llm_service.domain.query import content_words
from llm_service.domain.values import Row

PART_FLOOR = 0.35
ASIDE_FLOOR = 0.75
ASIDE_WORDS_FLOOR = 0.6
RIVAL_SHARE = 0.85
LONE_WORD_FLOOR = 0.75


def near(asking: Asking, text: str, faqs: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the questions, found by a part of the text, that are near the whole of it too."""
    nearness = asking.knowledge.meanings.faqs(text)
    return tuple(row for row in faqs if nearness.get(row.id, 1.0) >= PART_FLOOR)


def surely_meant(asking: Asking, text: str, faqs: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the questions that a text means beyond doubt, though it is thought to ask nothing of the business."""
    nearness = asking.knowledge.meanings.faqs(text)
    return tuple(
        row for row in faqs if nearness.get(row.id, 0.0) >= (ASIDE_WORDS_FLOOR if row.covered else ASIDE_FLOOR)
    )


def worth_telling(asking: Asking, text: str, faqs: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the questions, but for those that a lone word without a share in their words merely resembles."""
    lexicon = asking.knowledge.lexicon
    said, asked = set(words(text)), set(content_words(text, lexicon))
    if asked <= lexicon.pricing and said & lexicon.pricing and not said & lexicon.asking:
        # A price of nothing in particular: what it is of has to be asked first.
        return ()
    return tuple(row for row in faqs if row.covered or len(asked) > 1 or row.score >= LONE_WORD_FLOOR)


def unless_rivals(faqs: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return the best question; two where each fits words that the other does not, such as `Córdoba capital`.

    To tell the price of one place where the other was meant would be a wrong price.
    """
    if len(faqs) < 2:
        return faqs
    best, second = faqs
    is_rival = bool(best.covered - second.covered) and bool(second.covered - best.covered)
    return faqs if is_rival and second.score >= best.score * RIVAL_SHARE else faqs[:1]
