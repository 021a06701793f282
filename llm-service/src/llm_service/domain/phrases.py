"""What a sentence of a client does, told by patterns and lists of words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from llm_service.domain.normalise import fold

_WORD = re.compile(r"[a-z]+|\d+")
_SENTENCE_END = re.compile(r"(?<=[?!…])\s+|(?<=[.;])\s+|\n+")
_CONNECTOR = re.compile(r"\s+(?:y|e|and|ademas|además|tambien|também|tambien)\s+|,\s+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Patterns by kind, in order, and lists of words by name, all over folded text."""

    rules: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]
    words: Mapping[str, frozenset[str]]

    def kind(self, text: str) -> str:
        """Return what the sentence does by the patterns; empty when none matches."""
        folded = " ".join(fold(text).replace("¿", " ").replace("?", " ").strip(" .!¡").split())
        return next((kind for kind, patterns in self.rules if any(p.search(folded) for p in patterns)), "")

    def _is_only(self, text: str, allowed: str, wanted: str) -> bool:
        found = spoken(text)
        return bool(found) and set(found) <= self.words[allowed] and bool(set(found) & self.words[wanted])

    def is_greeting(self, text: str) -> bool:
        """Tell whether the sentence only opens the conversation."""
        return bool(spoken(text)) and set(spoken(text)) <= self.words["greeting"]

    def opens(self, text: str) -> bool:
        """Tell whether the sentence begins with a greeting."""
        return bool(spoken(text)[:1]) and spoken(text)[0] in self.words["opening"]

    def is_thanks(self, text: str) -> bool:
        """Tell whether the sentence only thanks."""
        return self._is_only(text, "thanks", "gratitude")

    def is_content(self, text: str) -> bool:
        """Tell whether the sentence only shows that the client is content."""
        return self._is_only(text, "thanks", "contentment")

    def is_goodbye(self, text: str) -> bool:
        """Tell whether the sentence only ends the conversation."""
        return self._is_only(text, "goodbye", "farewell")

    def is_yes(self, text: str) -> bool:
        """Tell whether the sentence only accepts."""
        return self._is_only(text, "yes", "assent")

    def is_no(self, text: str) -> bool:
        """Tell whether the sentence only refuses."""
        return self._is_only(text, "no", "refusal")

    def follows(self, text: str) -> bool:
        """Tell whether the sentence begins as one that goes on from what was said before."""
        return bool(spoken(text)[:1]) and spoken(text)[0] in self.words["follow"]

    def shops(self, text: str) -> bool:
        """Tell whether the sentence asks for a product, a price or stock."""
        return bool(set(spoken(text)) & self.words["shopping"])


def spoken(text: str) -> tuple[str, ...]:
    """Return the folded words of `text`, nothing dropped."""
    return tuple(_WORD.findall(fold(text)))


def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a message that hold a word."""
    return tuple(part.strip() for part in _SENTENCE_END.split(text) if part and spoken(part))


def clauses(sentence: str) -> tuple[str, ...]:
    """Return the parts of a sentence that `y`, `e`, `and` or a comma join."""
    return tuple(part.strip() for part in _CONNECTOR.split(sentence) if part and spoken(part))


def build_phrases(rules: list[Mapping[str, object]], words: Mapping[str, str]) -> Phrases:
    """Return the phrases of a data file; a malformed pattern raises `re.error` at start."""
    compiled = []
    for rule in rules:
        patterns = rule["patterns"]
        assert isinstance(patterns, list)
        compiled.append((str(rule["kind"]), tuple(re.compile(pattern) for pattern in patterns)))
    return Phrases(tuple(compiled), {name: frozenset(text.split()) for name, text in words.items()})
