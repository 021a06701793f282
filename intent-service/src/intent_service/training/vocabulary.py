"""The common words of Spanish, Portuguese and English, so that a rare word is not taken for a typo."""

from __future__ import annotations

from spellchecker import SpellChecker

from intent_service.domain.spelling import SHORTEST
from intent_service.domain.text import fold

# Spanish first: most messages are Spanish. Beyond these ranks the lists hold little but names.
MOST = {"es": 90_000, "pt": 60_000, "en": 40_000}


def common_words() -> list[str]:
    """Return the folded words of at least five letters, the most common first.

    Source: the package `pyspellchecker` (its frequency lists come from film subtitles).
    """
    shares: dict[str, float] = {}
    for language, most in MOST.items():
        counts = SpellChecker(language=language).word_frequency.dictionary
        ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
        total = sum(counts.values())
        for word, count in ranked:
            folded = fold(word)
            if len(folded) >= SHORTEST and folded.isascii() and folded.isalpha():
                shares[folded] = max(shares.get(folded, 0.0), count / total)
    return sorted(shares, key=lambda word: (-shares[word], word))
