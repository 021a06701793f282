"""Words with a meaning for the search: what to drop, and what means the same."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_service.domain.normalise import stem, words

Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Stop words (folded) and synonyms.

    `synonyms` maps a phrase of one to three stems to the single stems that mean the same; `spellings` are the
    folded words that a misspelt word may have meant; `never_misspelt` are right although no row may hold them.
    """

    grammar: frozenset[str]
    chat: frozenset[str]
    asking: frozenset[str]
    pricing: frozenset[str]
    synonyms: Mapping[Phrase, frozenset[str]]
    spellings: frozenset[str]
    never_misspelt: frozenset[str]


def _stems(text: str) -> Phrase:
    return tuple(stem(word) for word in words(text))


def build_synonyms(groups: Iterable[Sequence[str]]) -> dict[Phrase, frozenset[str]]:
    """Return for each phrase of the groups the single stems that stand for it, its own included."""
    found: dict[Phrase, frozenset[str]] = {}
    for group in groups:
        phrases = [_stems(member) for member in group]
        singles = frozenset(phrase[0] for phrase in phrases if len(phrase) == 1)
        for phrase in phrases if singles else ():
            found[phrase] = found.get(phrase, frozenset()) | singles
    return found


def build_lexicon(lists: Mapping[str, str], groups: Sequence[Sequence[str]]) -> Lexicon:
    """Return a lexicon from lists of words as a data file holds them.

    Args:
        lists: words parted by blanks: `grammar` is dropped everywhere, `chat` unless nothing else was said,
            `asking` and `pricing` only help to find a question, `plain` is never taken for a misspelling.
        groups: groups of words and short phrases that mean the same.
    """
    single = {words(member) for group in groups for member in group}
    return Lexicon(
        grammar=frozenset(words(lists["grammar"])),
        chat=frozenset(words(lists["chat"])) - frozenset(words(lists["asking"])),
        asking=frozenset(words(lists["asking"])),
        pricing=frozenset(words(lists["pricing"])),
        synonyms=build_synonyms(groups),
        never_misspelt=frozenset(words(" ".join(lists[name] for name in ("plain", "chat", "asking", "pricing")))),
        spellings=frozenset(phrase[0] for phrase in single if len(phrase) == 1),
    )
