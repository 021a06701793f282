"""Which language a text is in, by a vote of function words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llm_service.domain.normalise import fold

_WORD = re.compile(r"[a-z]+")
LETTER_VOTES = 2


@dataclass(frozen=True, slots=True)
class Languages:
    """Function words (folded) and telling letters of each language."""

    words: Mapping[str, frozenset[str]]
    letters: Mapping[str, str]

    def votes(self, text: str) -> dict[str, int]:
        """Return how many words and letters of `text` speak for each language."""
        found = _WORD.findall(fold(text))
        lowered = text.casefold()
        return {
            language: sum(word in known for word in found)
            + LETTER_VOTES * any(letter in lowered for letter in self.letters.get(language, ""))
            for language, known in self.words.items()
        }

    def detect(self, text: str, lead: int = 1) -> str:
        """Return the ISO 639-1 code of the language; empty when it cannot be told.

        Args:
            text: what was written.
            lead: votes that the language must have more than any other.
        """
        votes = sorted(self.votes(text).items(), key=lambda vote: -vote[1])
        second = votes[1][1] if len(votes) > 1 else 0
        return votes[0][0] if votes and votes[0][1] - second >= lead else ""


def build_languages(words: Mapping[str, str], letters: Mapping[str, str]) -> Languages:
    """Return the languages of a data file: lists of words parted by blanks; a word two share speaks for neither."""
    sets = {language: frozenset(text.split()) for language, text in words.items()}
    own = {
        language: known.difference(*(other for code, other in sets.items() if code != language))
        for language, known in sets.items()
    }
    return Languages(own, dict(letters))
