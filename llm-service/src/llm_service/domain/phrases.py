"""What a sentence of a client does, told by patterns and lists of words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llm_service.domain.normalise import fold

_WORD = re.compile(r"[a-z]+|\d+")
_SENTENCE_END = re.compile(r"(?<=[?!…])\s+|(?<=[.;])\s+|\n+")
_CONNECTOR = re.compile(r"\s+(?:y|e|and|ademas|además|tambien|também|tambien)\s+|,\s+", re.IGNORECASE)
_LAUGH = re.compile(r"(?:j+[aeiou]+){1,}j*|(?:h+[ae]+){2,}h*|a?(?:jaj|jej|hah|heh)[jahe]*|k{3,}|(?:rs){2,}|x+d+|l+o+l+")
_HELD = re.compile(r"([a-z])\1{2,}")
_MANNERS = (
    ("goodbye", "goodbye", "farewell"),
    ("thanks", "thanks", "gratitude"),
    ("acknowledged", "thanks", "contentment"),
    ("declined", "no", "refusal"),
)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Patterns by kind, in order, and lists of words by name, all over folded text."""

    rules: tuple[tuple[str, tuple[re.Pattern[str], ...]], ...]
    words: Mapping[str, frozenset[str]]
    canonical: tuple[tuple[tuple[re.Pattern[str], ...], str], ...] = ()

    def as_asked(self, text: str) -> str:
        """Return a short question in the form in which businesses write it down; others as they are."""
        folded = " ".join(spoken(text))
        return next((told for patterns, told in self.canonical if any(p.search(folded) for p in patterns)), text)

    def kind(self, text: str) -> str:
        """Return what the sentence does by the patterns; empty when none matches."""
        folded = " ".join(fold(text).replace("¿", " ").replace("?", " ").strip(" .!¡").split())
        return next((kind for kind, patterns in self.rules if any(p.search(folded) for p in patterns)), "")

    def _is_only(self, text: str, allowed: str, wanted: str) -> bool:
        found = self.said(text)
        return bool(found) and set(found) <= self.words[allowed] and bool(set(found) & self.words[wanted])

    def said(self, text: str) -> tuple[str, ...]:
        """Return the words of a sentence without laughter, each letter that was held down once."""
        return tuple(_HELD.sub(r"\1", word) for word in spoken(text) if not _LAUGH.fullmatch(word))

    def laughs(self, text: str) -> bool:
        """Tell whether the sentence laughs."""
        return any(_LAUGH.fullmatch(word) for word in spoken(text))

    def is_greeting(self, text: str) -> bool:
        """Tell whether the sentence only opens the conversation."""
        said = self.said(text)
        return bool(said) and set(said) <= self.words["greeting"]

    def is_opening(self, text: str) -> bool:
        """Tell whether the sentence only says that a question will come."""
        said = set(self.said(text))
        return bool(said & self.words["inquiry"]) and said <= self.words["inquiring"] | self.words["greeting"]

    def sign(self, text: str) -> str:
        """Return what a message of signs alone does: `taking`, `refusing`, `scolding`; empty for any other."""
        signs = ("taking", "refusing", "scolding")
        return next((name for name in signs if any(sign in text for sign in self.words[name])), "")

    def opens(self, text: str) -> bool:
        """Tell whether the sentence begins with a greeting."""
        return bool(self.said(text)[:1]) and self.said(text)[0] in self.words["opening"]

    def social(self, text: str) -> str | None:
        """Return the name of the text that answers mere manners; empty for a greeting, None for what is neither."""
        if self.is_greeting(text):
            return ""
        for name, allowed, wanted in _MANNERS:
            if self._is_only(text, allowed, wanted):
                return name
        return "acknowledged" if self.laughs(text) and not self.said(text) else None

    def without_manners(self, text: str) -> str:
        """Return a sentence without what is mere manners before it, such as `perfecto,`."""
        for sign in (",", ":"):
            first, found, rest = text.partition(sign)
            if found and spoken(rest) and (self.social(first) is not None or self.is_opening(first)):
                return self.without_manners(rest.strip())
        first, _, rest = text.partition(" ")
        return rest.strip() if spoken(rest) and set(self.said(first)) <= self.words["leading"] else text

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


def _compiled(entries: Sequence[Mapping[str, Any]], name: str) -> Iterator[tuple[str, tuple[re.Pattern[str], ...]]]:
    for entry in entries:
        yield str(entry[name]), tuple(re.compile(pattern) for pattern in entry["patterns"])


def build_phrases(
    rules: Sequence[Mapping[str, Any]], words: Mapping[str, str], canonical: Sequence[Mapping[str, Any]] = ()
) -> Phrases:
    """Return the phrases of a data file; a malformed pattern raises `re.error` at start."""
    return Phrases(
        tuple(_compiled(rules, "kind")),
        {name: frozenset(text.split()) for name, text in words.items()},
        tuple((patterns, text) for text, patterns in _compiled(canonical, "text")),
    )
