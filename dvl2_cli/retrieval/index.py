"""The pages that have most of a question's words: BM25 over SQLite's FTS5.

The index is made of the pages that are asked about and of no others, so that what is rare is
rare among them. A second index, of trigrams, finds what a slip of the pen or of a reader hides.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dvl2_cli.retrieval.words import indexed, match_any, terms_of, without_accents

_TABLES = (
    "CREATE VIRTUAL TABLE words USING fts5"
    " (name, text, tokenize = 'porter unicode61 remove_diacritics 2')",
    "CREATE VIRTUAL TABLE parts USING fts5 (text, content = '', tokenize = 'trigram')",
)
# A word of a file's name tells less than one of the page, for all its pages share it.
_BY_WORDS = "SELECT rowid, -bm25(words, 0.5, 1.0) AS score FROM words WHERE words MATCH ?"
_BY_PARTS = "SELECT rowid, -bm25(parts) AS score FROM parts WHERE parts MATCH ?"
_BEST = " ORDER BY score DESC, rowid LIMIT ?"
_TRIGRAM = 3
# Measured by benchmarks/retrieval.py: pages of each index that are fused, what softens the first
# ranks, and the weight of whole words.
_DEPTH, _RANKS, _WORDS_WEIGHT = 60, 10, 2.0
FoundBy = Literal["words", "parts", "all"]


@dataclass(frozen=True, slots=True)
class PageHit:
    """A page by its place among those that were indexed, and its BM25 score; higher is better.

    ``by`` is whether whole words were found, only parts of words, or nothing was looked for.
    """

    place: int
    score: float
    by: FoundBy


class PageIndex:
    """An index of (name, text) of pages; closed with ``close`` or as a context."""

    def __init__(self, pages: Iterable[tuple[str, str]]) -> None:
        self._db = sqlite3.connect(":memory:")
        for table in _TABLES:
            self._db.execute(table)
        for place, (name, text) in enumerate(pages):
            row = (place, indexed(name), indexed(text))
            self._db.execute("INSERT INTO words (rowid, name, text) VALUES (?, ?, ?)", row)
            self._db.execute(
                "INSERT INTO parts (rowid, text) VALUES (?, ?)", (place, without_accents(text))
            )

    def __enter__(self) -> PageIndex:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the index."""
        self._db.close()

    def best(self, question: str, most: int) -> list[PageHit]:
        """At most ``most`` pages, the best first: ranked by words and by parts of words together.

        The ranks are fused by their reciprocals (Cormack et al., 2009), for scores of the two
        indexes have nothing in common; a place among the words counts twice.
        """
        terms = terms_of(question)
        by_words = list(self._hits(_BY_WORDS, terms, _DEPTH, "words"))
        by_parts = list(self._hits(_BY_PARTS, _trigrams(terms), _DEPTH, "parts"))
        fused: dict[int, float] = {}
        for hits, weight in ((by_words, _WORDS_WEIGHT), (by_parts, 1.0)):
            for rank, hit in enumerate(hits):
                fused[hit.place] = fused.get(hit.place, 0.0) + weight / (_RANKS + rank)
        found = {hit.place: hit for hit in [*by_parts, *by_words]}
        places = sorted(fused, key=lambda place: (-fused[place], place))
        return [found[place] for place in places[:most]]

    def _hits(self, query: str, terms: list[str], most: int, by: FoundBy) -> Iterator[PageHit]:
        if not terms:
            return
        rows = self._db.execute(query + _BEST, (match_any(terms), most))
        for place, score in rows:
            yield PageHit(int(place), round(float(score), 4), by)


def _trigrams(terms: Sequence[str]) -> list[str]:
    """Every three neighbouring characters of the words that are long enough."""
    plain = [without_accents(term) for term in terms]
    grams = (
        term[start : start + _TRIGRAM]
        for term in plain
        for start in range(len(term) - _TRIGRAM + 1)
        if " " not in term
    )
    return list(dict.fromkeys(grams))


def has_fts5() -> bool:
    """Whether this Python's SQLite can make the index."""
    with contextlib.closing(sqlite3.connect(":memory:")) as db:
        try:
            for table in _TABLES:
                db.execute(table)
        except sqlite3.OperationalError:
            return False
    return True
