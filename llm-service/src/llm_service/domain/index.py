"""An index of rows in memory that ranks by rare words and knows when nothing fits."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from llm_service.domain.lexicon import Lexicon
from llm_service.domain.normalise import code, stem, words
from llm_service.domain.query import Query, build_query

RELEVANCE_FLOOR = 0.45
FOLLOWER_SHARE = 0.6
ASKING_WEIGHT = 0.3
HEAD_BONUS = 0.25
WEAK_FIELD = 0.5
WEAK_COVER = 0.4
WEAK_COVER_OF_ANSWER = 0.6
UNKNOWN_SHARE_OF_QUESTION = 0.9
ELSEWHERE_SHARE = 0.3
SHORTEST_CODE = 5
LONGEST_CODE_RUN = 3


@dataclass(frozen=True, slots=True)
class Document:
    """What is indexed of a row: several documents may stand for one row (`key`); `fields` are texts with weights.

    The first field is the one whose first word names the thing.
    """

    key: str
    fields: tuple[tuple[str, float], ...]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that fits.

    `score` is the share of the query it covers, `covered` and `missing` are the words of the query that it holds and
    lacks, `rank` orders the rows of one search, and `names` tells whether a word names the row rather than being
    found in a text about it.
    """

    key: str
    score: float
    covered: frozenset[str]
    missing: frozenset[str]
    rank: float
    names: bool = True


@dataclass(frozen=True)
class Index:
    """Documents by word. Built once with `build_index`, then only read."""

    documents: tuple[Document, ...]
    postings: Mapping[str, Mapping[int, float]]
    spread: Mapping[str, int]
    rows: int
    heads: tuple[str, ...]
    lengths: tuple[float, ...]
    codes: Mapping[str, str]
    vocabulary: tuple[str, ...]
    lexicon: Lexicon
    asks: bool = False

    def idf(self, stem_: str) -> float:
        """Return how rare a stem is among the rows; one that none holds counts as the rarest."""
        held = self.spread.get(stem_, 1)
        return math.log(1 + (self.rows - held + 0.5) / (held + 0.5))

    def query(self, text: str) -> Query:
        """Return what `text` asks this index for."""
        return build_query(text, self.lexicon, self.postings, self.vocabulary, ask=self.asks)

    def named_stems(self) -> frozenset[str]:
        """Return the stems that name the rows, those of texts about them left out."""
        return frozenset(key for key, held in self.postings.items() if max(held.values()) >= WEAK_FIELD)

    def search(
        self,
        text: str,
        limit: int,
        floor: float = RELEVANCE_FLOOR,
        elsewhere: Collection[str] = frozenset(),
    ) -> tuple[Hit, ...]:
        """Return the rows that fit `text`, best first; nothing where even the best covers less than `floor`.

        Args:
            text: the client's words.
            limit: at most so many rows.
            floor: share of the query, weighed by rarity, that the best row has to hold.
            elsewhere: stems that another index answers for; lacking them counts little here.
        """
        named = self._named(text)
        query = self.query(text)
        if named:
            held = frozenset(term.word for term in query.terms)
            return tuple(Hit(key, 1.0, held, frozenset(), 1.0) for key in named[:limit])
        ranked = self._best_by_key(self._rank(query, elsewhere))
        if not ranked or max(hit.score for hit in ranked[:3]) < floor:
            return ()
        least = max(hit.score for hit in ranked) * FOLLOWER_SHARE
        return tuple(hit for hit in ranked if hit.score >= least)[:limit]

    def _named(self, text: str) -> list[str]:
        parts = [code(part) for part in text.split()]
        runs = ("".join(parts[at : at + size]) for size in range(LONGEST_CODE_RUN, 0, -1) for at in range(len(parts)))
        hyphened = {code(part) for part in text.split() if "-" in part}
        wanted = (run for run in runs if len(run) >= SHORTEST_CODE and (run in hyphened or not run.isalpha()))
        return list(dict.fromkeys(self.codes[run] for run in wanted if run in self.codes))

    def _rank(self, query: Query, elsewhere: Collection[str]) -> list[Hit]:
        scores: dict[int, float] = defaultdict(float)
        shares: dict[int, float] = defaultdict(float)
        covered: dict[int, set[str]] = defaultdict(set)
        named: set[int] = set()
        asked_for = frozenset(term.word for term in query.terms)
        total = 0.0
        for term in query.terms:
            idf = self._term_idf(term.alternatives, elsewhere)
            total += idf
            for number, (weight, cover) in self._matches(term.alternatives).items():
                scores[number] += idf * weight
                shares[number] += idf * cover
                covered[number].add(term.word)
                if cover > WEAK_COVER_OF_ANSWER:
                    named.add(number)
        for asked in query.asking:
            for number, weight in self.postings.get(asked, {}).items():
                if number in scores:
                    scores[number] += ASKING_WEIGHT * self.idf(asked) * weight
        return [
            Hit(
                self.documents[n].key,
                round(min(1.0, shares[n] / total), 4),
                frozenset(covered[n]),
                asked_for - covered[n],
                round(scores[n] / self.lengths[n], 6),
                n in named,
            )
            for n in scores
            if any(not word.replace(".", "").isdigit() for word in covered[n])
        ]

    def _term_idf(self, alternatives: Sequence[tuple[str, float]], elsewhere: Collection[str]) -> float:
        known = [self.idf(stem_) for stem_, _ in alternatives if stem_ in self.postings]
        if not known and any(stem_ in elsewhere for stem_, _ in alternatives):
            return self.idf("") * ELSEWHERE_SHARE
        return known[0] if known else self.idf("") * (UNKNOWN_SHARE_OF_QUESTION if self.asks else 1.0)

    def _matches(self, alternatives: Sequence[tuple[str, float]]) -> dict[int, tuple[float, float]]:
        best: dict[int, tuple[float, float]] = {}
        weak = WEAK_COVER_OF_ANSWER if self.asks else WEAK_COVER
        for stem_, weight in alternatives:
            for number, held in self.postings.get(stem_, {}).items():
                cover = weight * (1.0 if held >= WEAK_FIELD else weak)
                bonus = HEAD_BONUS if self.heads[number] == stem_ else 0.0
                best[number] = max(best.get(number, (0.0, 0.0)), (weight * (held + bonus), cover))
        return best

    @staticmethod
    def _best_by_key(hits: Sequence[Hit]) -> list[Hit]:
        best: dict[str, Hit] = {}
        for hit in sorted(hits, key=lambda hit: (-hit.rank, -hit.score, hit.key)):
            best.setdefault(hit.key, hit)
        return list(best.values())


def _weights(document: Document) -> dict[str, float]:
    found: dict[str, float] = {}
    for text, weight in document.fields:
        for word in words(text):
            key = stem(word)
            found[key] = max(found.get(key, 0.0), weight)
    return found


def _useful_spellings(lexicon: Lexicon, held: Collection[str]) -> set[str]:
    """Return the words of the lexicon that lead to a word which some row holds."""
    return {word for word in lexicon.spellings if any(s in held for s in lexicon.synonyms.get((stem(word),), ()))}


def build_index(documents: Sequence[Document], lexicon: Lexicon, *, asks: bool = False) -> Index:
    """Return an index of the documents.

    Args:
        documents: what to find.
        lexicon: stop words and synonyms.
        asks: whether the rows are questions.
    """
    postings: dict[str, dict[int, float]] = defaultdict(dict)
    sizes = [len(words(document.fields[0][0])) for document in documents]
    mean = sum(sizes) / len(sizes) if sizes else 1.0
    for number, document in enumerate(documents):
        for key, weight in _weights(document).items():
            if key not in lexicon.grammar:
                postings[key][number] = weight
    spelled = {word for document in documents for text, _ in document.fields for word in words(text) if word.isalpha()}
    return Index(
        documents=tuple(documents),
        postings=dict(postings),
        spread={key: len({documents[number].key for number in held}) for key, held in postings.items()},
        rows=len({document.key for document in documents}),
        heads=tuple(stem(next(iter(words(document.fields[0][0])), "")) for document in documents),
        lengths=tuple(0.8 + 0.2 * size / (mean or 1.0) for size in sizes),
        codes={code(document.code): document.key for document in documents if document.code},
        vocabulary=tuple(sorted((spelled | _useful_spellings(lexicon, postings)) - lexicon.grammar)),
        lexicon=lexicon,
        asks=asks,
    )
