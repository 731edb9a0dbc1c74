"""``python -m nano_lab.foreign``: measure dvl2 on documents that nobody here drew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from dvl2_cli.errors import InputError
from nano_lab.foreign.report import tables
from nano_lab.foreign.suite import Results, run

PARTS = ("pages", "fields", "questions", "grounding")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite and print its tables; 1 where a tool is missing."""
    parser = argparse.ArgumentParser(prog="python -m nano_lab.foreign", description=__doc__)
    parser.add_argument("-m", "--model", help="folder or name, as for dvl2; default: nano")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {','.join(PARTS)}")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th item only")
    parser.add_argument("--peers", action="store_true", help="tesseract and rapidocr too")
    parser.add_argument("-o", "--output", type=Path, help="every answer, as JSON lines")
    parser.add_argument("--threads", type=int, help="CPU threads of dvl2")
    given = parser.parse_args(arguments)
    unknown = set(given.parts.split(",")) - {*PARTS}
    if unknown or given.every < 1:
        parser.error(f"parts are {', '.join(PARTS)}; --every is at least 1")
    options = ["-m", given.model or "dvl2-nano"]
    options += ["--threads", str(given.threads)] if given.threads else []
    parts = given.parts.split(",")
    try:
        results = run(parts, given.every, options, peers=given.peers, say=lambda line: _say(line))
    except InputError as error:
        _say(f"{error}: {error.hint}")
        return 1
    if given.output:
        given.output.write_text("".join(f"{line}\n" for line in _records(results)), "utf-8")
    print(tables(results))
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _records(results: Results) -> Iterator[str]:
    for reader, pages in {"nano": results.pages, **results.peers}.items():
        for page in pages:
            yield _line(
                part="page", reader=reader, name=page.name, kind=page.kind, cer=page.errors,
                warned=page.warned, text=page.text,
            )  # fmt: skip
    for found in results.fields:
        yield _line(part="field", name=found.name, wanted=found.wanted, answer=found.answer,
                    right=found.right, warned=found.warned)  # fmt: skip
    for answer in results.answers:
        asked = answer.question
        yield _line(part="question", intent=asked.intent, language=asked.language,
                    question=asked.text, picture=asked.picture.name, accepted=asked.accepted,
                    answer=answer.text, outcome=answer.outcome)  # fmt: skip
    for located in results.found:
        yield _line(part="grounding", scene=located.scene, name=located.name, iou=located.overlap)


def _line(**record: object) -> str:
    return json.dumps(record, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
