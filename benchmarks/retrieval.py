"""How often the page that a question is about is among the first five that are found.

    python benchmarks/retrieval.py [PAGES] [SEED]

Draws invoices, letters and receipts as the lab does, and takes the text that stands on them: as
it is, with 2 of 100 characters misread, and with 10 of 100. Each page is asked about once, by its
first line, which is the sender's name and stands on other pages too, and by words of it until
no other page has them all; and once more with two letters of a word swapped. Writes
results/retrieval.json.
"""

from __future__ import annotations

import json
import random
import re
import string
import sys
import time
from pathlib import Path

from dvl2_cli.retrieval.index import PageIndex
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Sample

RESULTS = Path(__file__).with_name("results") / "retrieval.json"
KINDS = ("invoice", "letter", "receipt")
ASKED = ("total", "date", "number", "amount due", "name of the customer")
DEPTHS = (1, 5)
MOST_WORDS = 3


def main() -> None:
    """Measure, print and write."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)  # noqa: S311  not for secrets
    samples = [(kind, render(kind, seed * 10_000 + n, "test")) for n in range(count)
               for kind in [KINDS[n % len(KINDS)]]]  # fmt: skip
    pages = [(kind, text_of(sample)) for kind, sample in samples]
    questions = [question(rng, place, pages) for place in range(count)]
    slips = [slip(rng, text) for text in questions]
    found = {}
    for name, rate in (("as printed", 0.0), ("2 % misread", 0.02), ("10 % misread", 0.1)):
        read = [misread(rng, text, rate) for _, text in pages]
        for asked, words in (("", questions), (", a slip in the question", slips)):
            found[name + asked] = recall(read, words)
    report = {"pages": count, "seed": seed, "recall": found}
    RESULTS.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def text_of(sample: Sample) -> str:
    """What is printed on a sample, line by line; a gap is a space."""
    lines: dict[int, str] = {}
    right = dict[int, float]()
    for glyph in sample.glyphs:
        left, top, end, bottom = glyph.box
        before = lines.get(glyph.line, "")
        gap = before != "" and left - right[glyph.line] > 0.6 * (bottom - top)
        lines[glyph.line] = before + (" " if gap else "") + glyph.char
        right[glyph.line] = end
    return "\n".join(lines.values())


def question(rng: random.Random, place: int, pages: list[tuple[str, str]]) -> str:
    """A question about page ``place`` that only this page has all words of, if it can be."""
    _, text = pages[place]
    first = text.splitlines()[0]
    others = [set(words_of(other)) for n, (_, other) in enumerate(pages) if n != place]
    named = [word for word in words_of(text) if word not in words_of(first)]
    chosen: list[str] = []
    for word in rng.sample(named, min(len(named), MOST_WORDS)):
        if chosen and not any(words_have(page, [*words_of(first), *chosen]) for page in others):
            break
        chosen.append(word)
    return f"What is the {rng.choice(ASKED)} for {' and '.join(chosen)} from {first}?"


def words_of(text: str) -> list[str]:
    """Its words of four letters and more, in small letters."""
    return re.findall(r"[a-z]{4,}", text.lower())


def words_have(page: set[str], words: list[str]) -> bool:
    """Whether a page has all words."""
    return page.issuperset(words)


def slip(rng: random.Random, words: str) -> str:
    """``words`` with two neighbouring letters of one of the last words swapped."""
    parts = words.rstrip("?").split()
    long = [n for n, part in enumerate(parts) if len(part) > 4 and n > 5]
    if long:
        place = rng.choice(long)
        part, at = parts[place], rng.randrange(1, len(parts[place]) - 1)
        parts[place] = part[:at] + part[at + 1] + part[at] + part[at + 2 :]
    return " ".join(parts)


def misread(rng: random.Random, text: str, rate: float) -> str:
    """``text`` with this share of its characters replaced by other letters."""
    return "".join(
        rng.choice(string.ascii_lowercase) if char.isalnum() and rng.random() < rate else char
        for char in text
    )


def recall(pages: list[str], questions: list[str]) -> dict[str, float]:
    """The share of questions whose page is among the first 1 and 5, and milliseconds for one."""
    hits = dict.fromkeys(DEPTHS, 0)
    with PageIndex(("scan.pdf", text) for text in pages) as index:
        before = time.perf_counter()
        for place, words in enumerate(questions):
            best = [hit.place for hit in index.best(words, max(DEPTHS))]
            for depth in DEPTHS:
                hits[depth] += place in best[:depth]
        milliseconds = (time.perf_counter() - before) * 1000 / len(questions)
    shares = {f"recall@{depth}": round(count / len(pages), 3) for depth, count in hits.items()}
    return {**shares, "milliseconds": round(milliseconds, 2)}


if __name__ == "__main__":
    main()
