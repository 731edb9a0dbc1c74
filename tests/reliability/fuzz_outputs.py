"""Mutated model outputs through the parsers and every renderer: no exception, no raw control
character where a terminal could see it.

    python tests/reliability/fuzz_outputs.py [COUNT] [SEED]

Prints counts; exits with 1 if any output broke anything.
"""

from __future__ import annotations

import collections
import json
import random
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as Xml

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dvl2_cli.commands.ground_task import as_text
from dvl2_cli.engine.events import Confidence, Finished, Usage
from dvl2_cli.results import GroundResult, OcrResult, Source, json_line
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.tasks.grounding.locating import Located, ground_result
from dvl2_cli.tasks.reading.evidence import unsupported, value_of
from dvl2_cli.tasks.reading.line_boxes import line_blocks, located_by_model
from dvl2_cli.tasks.reading.loops import cut_loop
from dvl2_cli.tasks.reading.markdown import blocks_of, tables_of, to_html, to_text
from dvl2_cli.ui.boxes import LabelledBox, crop, draw_boxes
from dvl2_cli.ui.control import printable
from dvl2_cli.writers.caption_tables import caption_line
from dvl2_cli.writers.ground import FORMATS as GROUND_FORMATS
from dvl2_cli.writers.pages import FORMATS as PAGE_FORMATS

SLOWEST_SECONDS = 10.0  # of the processor
SIZE = (320, 200)
RAW_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

ANSWERS = (
    "<|ref|>red car<|/ref|><|det|>[[220, 270, 422, 720]]<|/det|><｜end▁of▁sentence｜>",
    "<|ref|>cars<|/ref|><|det|>[[1, 2, 30, 40], [5, 6, 70, 80], [9, 9, 999, 999]]<|/det|>",
    "<|grounding|>A <|ref|>dog<|/ref|><|det|>[[1, 2, 300, 400]]<|/det|> chases "
    "<|ref|>两只猫<|/ref|><|det|>[[5, 6, 70, 80]]<|/det|>.",
    "# Invoice 1042\n\n| Item | Qty |\n|---|---|\n| Bolt | 4 |\n\nTotal **41.20**\n",
    "```python\nprint('hello')\n```\n\n$$x^2 + y^2$$\n\n- one\n- two\n",
    '{"total": 41.2, "items": [{"sku": "A-1", "qty": 4}]}',
    "There is no dog in this image.",
    "Total 9999999999999999999999999999999999999999999999999999999999999999999999999",
    "again and again and again and again and again and again and again and again and ",
    "<table><tr><td>1</td></tr></table><script>alert(1)</script>",
)
NASTY = (
    "\x1b[2J\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x00", "\r", "\b\b\b", "\u202e", "\u2066",
    "\ud800", "\ufffe", "\ufeff", "\u200f", "\U0010ffff", "[[", "]]", "<|det|>", "<|/det|>",
    "<|ref|>", "<|/ref|>", "<|", "|>", "1e309", "-", "NaN", "9" * 400, ", , ,", "|", "||\n|-|\n",
    "`" * 40, "[" * 300, "(" * 300, "> " * 200, "* " * 100, "é" * 50, "\n" * 50, "𝔘𝔫𝔦", "\t",
    "&lt;", "]]>", "<!--", "<![CDATA[", "'\"", "\\", "{caption}", "${x}", "%s",
)  # fmt: skip


def mutated(rng: random.Random) -> str:
    """An answer with pieces inserted, removed, repeated, swapped or cut off."""
    text = rng.choice(ANSWERS)
    for _ in range(rng.randint(0, 6)):
        place = rng.randint(0, len(text))
        other = rng.randint(place, min(place + 40, len(text)))
        choice = rng.randrange(6)
        if choice == 0:
            text = text[:place] + rng.choice(NASTY) + text[place:]
        elif choice == 1:
            text = text[:place] + text[other:]
        elif choice == 2:
            text = text[:place] + text[place:other] * rng.randint(2, 60) + text[other:]
        elif choice == 3:
            text = text[:place]
        elif choice == 4:
            text = text[:place] + rng.choice(ANSWERS) + text[place:]
        else:
            text = text[:place] + chr(rng.randrange(0x110000)) + text[place:]
    return text


def check_terminal(text: str) -> None:
    """What the commands send to a terminal has no raw control character."""
    assert not RAW_CONTROL.search(printable(text))


def check_grounding(text: str, draw: bool) -> None:
    """The parser, every annotation format, the drawing."""
    answer = Finished(text, text, "stop", Usage(1, 1, 1, 0.1, 0.1), Confidence(0.9))
    for caption in (False, True):
        result = ground_result([Located("a thing", answer)], SIZE, as_caption=caption)
        line = json_line(result.as_json())
        assert "\n" not in line
        assert not RAW_CONTROL.search(line)
        json.loads(line)
        check_terminal(as_text(result))
        check_boxes(result)
    placed = GroundResult(source=Source("a.png", None, None, *SIZE), objects=result.objects)
    for write in GROUND_FORMATS.values():
        for name, content in write([placed]).items():
            content.encode("utf-8", "replace")
            if name.endswith(".xml"):
                Xml.fromstring(content)
            elif name.endswith(".json"):
                json.loads(content)
    if draw:
        boxes = [LabelledBox(item.box, item.label, item.id) for item in result.objects]
        draw_boxes(Image.new("RGB", SIZE), boxes)


def check_boxes(result: GroundResult) -> None:
    for item in result.objects:
        x1, y1, x2, y2 = item.box
        assert 0 <= x1 < x2 <= SIZE[0]
        assert 0 <= y1 < y2 <= SIZE[1]
        assert min(crop(Image.new("1", SIZE), item.box).size) >= 1
    for span in result.grounding:
        assert result.caption is not None
        assert result.caption[slice(*span.span)] == span.text


def check_reading(text: str) -> None:
    """Loops, Markdown, tables, fields, every page format."""
    short, _ = cut_loop(text)
    to_text(short)
    page = to_html(text)
    assert "<script" not in page.lower()
    unsupported({"total": value_of(text), "nested": [{"a": 41.2}]}, text)
    blocks = located_by_model(line_blocks(text)[:20], SIZE, lambda phrase: text)
    result = OcrResult(
        source=Source("a.png", None, None, *SIZE),
        raw=text,
        text=to_text(text),
        markdown=text,
        tables=tables_of(text),
        blocks=(*blocks_of(text), *blocks),
        fields={"total": value_of(text)},
    )
    for name, kind in PAGE_FORMATS.items():
        writer = kind()
        written = writer.head("a.png") + writer.page(result, 0) + writer.foot()
        written.encode("utf-8", "replace")
        check_terminal(written)
        if name in ("hocr", "alto"):
            Xml.fromstring(written.encode())


def check_caption(text: str) -> None:
    """Wording and rows."""
    wording = Wording(include=("toy",), avoid=("dog",), template="{stem}: {caption} {tags}")
    caption = wording.written(wording.caption(text), "a/b.png", SIZE)
    wording.unwanted(caption)
    from dvl2_cli.results import CaptionResult

    result = CaptionResult(source=Source("a/b.png"), caption=caption)
    check_terminal(caption_line(result, True))
    assert not RAW_CONTROL.search(json_line(result.as_json()))


def attempt(text: str, draw: bool) -> str:
    """ "fine", or what broke."""
    started = time.process_time()
    checks: list[Callable[[], None]] = [
        lambda: check_grounding(text, draw),
        lambda: check_reading(text),
        lambda: check_caption(text),
    ]
    for step in checks:
        try:
            step()
        except BaseException:
            return f"BROKEN {traceback.format_exc()}"
    seconds = time.process_time() - started
    return f"BROKEN took {seconds:.0f} s" if seconds > SLOWEST_SECONDS else "fine"


def run(count: int, seed: int) -> collections.Counter[str]:
    """Outcome -> how many of ``count`` mutated outputs."""
    rng = random.Random(seed)
    outcomes: collections.Counter[str] = collections.Counter()
    for index in range(count):
        text = mutated(rng)
        outcome = attempt(text, draw=index % 10 == 0)
        if outcome != "fine":
            print(f"{text!r}\n{outcome}", file=sys.stderr)
            outcome = "BROKEN"
        outcomes[outcome] += 1
    return outcomes


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    result = run(wanted, int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    print(", ".join(f"{count} {name}" for name, count in sorted(result.items())))
    sys.exit(1 if result["BROKEN"] else 0)
