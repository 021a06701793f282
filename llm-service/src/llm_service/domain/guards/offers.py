"""Gifts, brands and stock in a reply must come from the business's data, and it must not speak of the model."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from llm_service.domain.guards.evidence import Evidence
from llm_service.domain.normalise import fold, stem, words
from llm_service.domain.phrases import sentences
from llm_service.domain.plain_text import URL
from llm_service.domain.values import Kind, Row, Verdict

BRAND_REACH = 4
BEGINNING = 5
OFFER_SHARE = 0.6
_PART = re.compile(r"(?<=\?)|[.;\n!]+")
_LONG_WORD = re.compile(r"[a-z]{4,}")
_TOKEN = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)?|[.!?:;\n•]")
_END = frozenset(".!?:;\n•")


@dataclass(frozen=True)
class StockWords:
    """Patterns over folded text that say that something is there, and that it is gone."""

    there: re.Pattern[str]
    gone: re.Pattern[str]


def _parts(text: str) -> list[str]:
    return [part for part in _PART.split(fold(text)) if part.strip()]


def _beginnings(text: str) -> set[str]:
    return {word[:BEGINNING] for word in _LONG_WORD.findall(text)}


def _is_offered(part: str, given: Sequence[str], pattern: re.Pattern[str]) -> bool:
    """Tell whether one sentence of the data offers the same thing: most words of the part are in it."""
    wanted = _beginnings(part)
    return any(len(wanted & _beginnings(own)) >= len(wanted) * OFFER_SHARE for own in given if pattern.search(own))


def check_offers(text: str, evidence: Evidence, patterns: Sequence[re.Pattern[str]]) -> Verdict:
    """Tell whether nothing is given away in `text` that the data does not offer."""
    given = [part for told in evidence.texts for part in _parts(told)]
    found = [
        match[0]
        for part in _parts(text.replace("?", "?\n"))
        for pattern in patterns
        if (match := pattern.search(part)) and not part.rstrip().endswith("?") and not _is_offered(part, given, pattern)
    ]
    return Verdict("offers", not found, f"not offered in the data: {found[0]}" if found else "")


def check_meta(text: str, evidence: Evidence, patterns: Sequence[re.Pattern[str]]) -> Verdict:
    """Tell whether `text` does not speak of the model or of what it was told."""
    folded = fold(text)
    found = next((match[0] for pattern in patterns if (match := pattern.search(folded))), "")
    return Verdict(
        "meta", not found or found in fold("\n".join(evidence.texts)), f"speaks of itself: {found}" if found else ""
    )


def _named(sentence: str, rows: Sequence[Row]) -> list[Row]:
    """Return the rows whose whole name a sentence holds; else those that share most words of theirs with it."""
    said = {stem(word) for word in words(sentence)}
    titles = [(row, {stem(word) for word in words(row.title)}) for row in rows]
    whole = [row for row, title in titles if title <= said]
    if whole:
        return whole
    shared = [(len(title & said), row) for row, title in titles]
    most = max((count for count, _ in shared), default=0)
    return [row for count, row in shared if count == most] if most else list(rows)


def check_stock_words(text: str, evidence: Evidence, patterns: StockWords) -> Verdict:
    """Tell whether no sentence says that a product is there or gone against its row, or where the row does not say."""
    rows = [row for row in evidence.rows if row.kind is Kind.PRODUCT]
    told = fold("\n".join((*evidence.business_texts, *(row.text for row in evidence.rows if row.kind is Kind.FAQ))))
    previous: list[Row] = []
    for sentence in sentences(text.replace("•", "\n")):
        folded = fold(sentence)
        gone, there = patterns.gone.search(folded), patterns.there.search(folded)
        shares = {stem(w) for w in words(sentence)} & {stem(w) for row in rows for w in words(row.title)}
        meant = _named(sentence, rows) if shares or not previous else previous
        previous = meant if shares else previous
        if not meant or "?" in sentence or (gone and there):
            continue
        if gone and all(row.stock for row in meant) and gone[0] not in told:
            return Verdict("stock_words", passed=False, detail="says that what is in stock is gone")
        if there and not any(row.stock for row in meant) and there[0] not in told:
            return Verdict("stock_words", passed=False, detail="says that what no row has in stock is there")
    return Verdict("stock_words", passed=True)


def _capitalised(text: str, kinds: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """Yield each capitalised word inside a sentence, and whether a kind of product stands shortly before it."""
    since_kind, is_start = BRAND_REACH + 1, True
    for token in _TOKEN.findall(text):
        if token in _END:
            is_start, since_kind = True, BRAND_REACH + 1
            continue
        folded = fold(token)
        if token[0].isupper() and not is_start and len(token) > 2:
            yield folded, since_kind <= BRAND_REACH
        since_kind = (
            0 if stem(folded) in kinds or folded in ("marca", "modelo", "linea", "linha", "brand") else since_kind + 1
        )
        is_start = False


def check_brands(text: str, evidence: Evidence) -> Verdict:
    """Tell whether every brand in `text` belongs to a retrieved row or to the client's words."""
    given = set(re.findall(r"[a-z]+", evidence.folded))
    unknown = [
        word
        for word, follows_kind in _capitalised(URL.sub(" ", text), evidence.kinds)
        if word not in given and stem(word) not in evidence.kinds and (follows_kind or word in evidence.brands)
    ]
    unknown += _sizes_unknown(text, evidence)
    return Verdict("brands", not unknown, f"not retrieved: {', '.join(unknown[:3])}" if unknown else "")


_SIZE = re.compile(r"^\d+(?:\.\d+)?$")
_UNITS = frozenset(("l", "ml", "kg", "g", "cm", "mm", "m", "w", "v", "in", "plaza", "pieza"))


def _sizes_unknown(text: str, evidence: Evidence) -> list[str]:
    """Return the sizes told of a kind of product that neither a row, a text nor the client names."""
    given = _sizes(evidence.folded)
    folded = fold(URL.sub(" ", text))
    return [f"{number} {unit}" for number, unit in sorted(_sizes(folded) - given) if evidence.rows]


def _sizes(text: str) -> set[tuple[str, str]]:
    tokens = words(text)
    return {(number, unit) for number, unit in pairwise(tokens) if _SIZE.match(number) and unit in _UNITS}
