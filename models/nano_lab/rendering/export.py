"""Samples as files: pictures, and one JSON line each in the trainer's format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dvl2_cli.conversations.markers import with_markers
from dvl2_cli.files import atomic_write, output_error
from dvl2_cli.results.lines import json_line
from nano_lab.rendering import VERSION
from nano_lab.rendering.render import render
from nano_lab.rendering.sample import Sample, Split

DATA_FILE = "data.jsonl"


def as_row(sample: Sample, images: Sequence[str]) -> dict[str, Any]:
    """The conversation of ``sample`` over the picture files ``images``.

    Answers hold their boxes as text, 0..999; "objects" lists what can be boxed, in pixels.
    """
    messages = []
    for index, turn in enumerate(sample.turns):
        count = len(images) if index == 0 else 0
        messages.append({"role": "user", "content": with_markers(turn.question, count)})
        messages.append({"role": "assistant", "content": turn.answer})
    return {
        "images": list(images),
        "messages": messages,
        "objects": [
            {"name": item.name, "colour": item.colour, "box": [round(v, 1) for v in item.box]}
            for item in sample.objects
        ],
        "kind": sample.kind,
        "seed": sample.seed,
        "split": sample.split,
        "renderer": VERSION,
        "tasks": [turn.task for turn in sample.turns],
    }


def export(
    kinds: Sequence[str], count: int, seed: int, split: Split, folder: Path
) -> Iterator[Sample]:
    """Write ``count`` samples of every kind, seeds from ``seed`` on, and yield each.

    The pictures appear one by one, the lines of ``data.jsonl`` all at the end.

    Raises:
        UsageError: there is no such kind.
        InputError: fonts are missing.
        OutputError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error
    with atomic_write(folder / DATA_FILE) as stream:
        for kind in kinds:
            for number in range(seed, seed + count):
                sample = render(kind, number, split)
                row = as_row(sample, _save(sample, folder))
                stream.write(json_line(row) + "\n")
                yield sample


def _save(sample: Sample, folder: Path) -> list[str]:
    name = f"{sample.kind}-{sample.split}-{sample.seed:06}"
    pictures = [(f"{name}-example.png", sample.example), (f"{name}.png", sample.image)]
    saved = []
    for file_name, picture in pictures:
        if picture is None:
            continue
        with atomic_write(folder / file_name, "wb") as stream:
            picture.save(stream, "PNG")
        saved.append(file_name)
    return saved
