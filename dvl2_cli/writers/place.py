"""Where annotations lie, and how they name their pictures and classes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from dvl2_cli.errors import InputError, UsageError
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.results.envelope import Source
from dvl2_cli.results.ground import FoundObject, GroundResult
from dvl2_cli.texts import decode_text
from dvl2_cli.writers.names import stem_of, usable

CLASSES, DATA, IMAGES, LABELS = "classes.txt", "data.yaml", "images", "labels"
_LARGEST = 2**24  # bytes of classes.txt
_GLOB = re.compile(r"[*?\[]")
# data.yaml as dvl2 writes it.
_OWN_DATA = re.compile(r'names:(?: \{\})?\n((?:  \d+: ".*"\n)*)')


@dataclass(frozen=True, slots=True)
class AnnotationPlace:
    """What annotations know beside the results.

    Attributes:
        folder: that their files are written to; None for stdout.
        root: folder that was read; file names keep the tree below it.
        phrases: what was asked for; classes are numbered in this order.
        classes: those of an earlier run into ``folder``, which keep their numbers.
    """

    folder: Path | None = None
    root: Path | None = None
    phrases: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()

    def name(self, source: Source) -> str:
        """Path of the picture below the root, without its suffix, for a file of its own."""
        parent = PurePosixPath(*(usable(part) for part in self._below(source).parent.parts))
        return str(parent / stem_of(source))

    def _below(self, source: Source) -> PurePath:
        if "://" in source.path:
            return PurePath(source.path).parent / source.path
        path = Path(source.path)
        for root in (self.folder and self.folder / IMAGES, self.root):
            if root is not None and path.is_relative_to(root):
                return path.relative_to(root)
        return PurePath(path.name)

    def label(self, source: Source) -> str:
        """The YOLO file of a picture, where trainers look: ``images`` becomes ``labels``."""
        if self.folder is not None and "://" not in source.path:
            there = _with_labels(Path(os.path.abspath(source.path)).parent)  # noqa: PTH100
            folder = Path(os.path.abspath(self.folder))  # noqa: PTH100
            if there is not None and there.is_relative_to(folder):
                return f"{(there / stem_of(source)).relative_to(folder).as_posix()}.txt"
        name = PurePosixPath(self.name(source))
        parent = _with_labels(name.parent)
        return f"{(parent or LABELS / name.parent) / name.name}.txt"

    def picture(self, source: Source, holder: str) -> str:
        """The picture as the annotation file ``holder`` names it: by the way from there."""
        if self.folder is None or "://" in source.path or source.path == "-":
            return source.path
        try:
            beside = (self.folder / holder).parent
            return PurePath(os.path.relpath(source.path, beside)).as_posix()
        except ValueError:  # on another drive
            return os.path.abspath(source.path)  # noqa: PTH100

    def class_names(self, results: Iterable[GroundResult]) -> dict[str, int]:
        """Class -> number: earlier ones, then the phrases as asked, then what else was found."""
        found = (class_of(item) for result in results for item in result.objects)
        asked = (_flat(phrase) for phrase in self.phrases)
        names = dict.fromkeys((*self.classes, *asked, *found))
        return {name: number for number, name in enumerate(names)}


# For files that go to stdout.
NOWHERE = AnnotationPlace()


def class_of(item: FoundObject) -> str:
    """What the box is filed under: the phrase asked for, else the model's word."""
    return _flat(item.query or item.label)


def usable_results(results: Sequence[GroundResult]) -> list[tuple[GroundResult, Source]]:
    """The results that did not fail, with their sources."""
    return [(r, r.source) for r in results if r.status != "failed" and r.source is not None]


def has_no_file(source: Source) -> bool:
    """Whether the picture is only a part of a file, or came by a pipe."""
    return source.page is not None or source.path == "-"


def take_name(name: str, path: str, taken: dict[str, str]) -> None:
    """Give the annotation file ``name`` to the picture ``path``.

    Raises:
        InputError: another picture has it; letter case does not tell files apart everywhere.
    """
    other = taken.setdefault(name.casefold(), path)
    if other != path:
        raise InputError(
            f"{path} and {other} would share the annotation file {name}",
            "Rename one of them: tools find annotations by the picture's name.",
        )


def root_of(argument: str) -> Path | None:
    """The folder of which ``argument`` names the content: itself, or the fixed part of a glob."""
    path = Path(argument).expanduser()
    if path.is_dir():
        return path
    if not _GLOB.search(argument) or path.exists():
        return None
    fixed = next(index for index, part in enumerate(path.parts) if _GLOB.search(part))
    return Path(*path.parts[:fixed])


def earlier_classes(folder: Path) -> tuple[str, ...]:
    """The classes of an earlier run into ``folder``, by number.

    Raises:
        InputError: ``classes.txt`` cannot be read, or has a class twice.
        UsageError: ``data.yaml`` is not one that dvl2 wrote, and would be replaced.
    """
    data = _text_of(folder / DATA)
    own = None if data is None else _OWN_DATA.fullmatch(data)
    if data is not None and own is None:
        raise UsageError(
            f"{folder / DATA} was not written by dvl2 and would be replaced",
            "Choose another folder, and copy the labels; classes.txt fixes their numbers.",
        )
    lines = _text_of(folder / CLASSES)
    if lines is not None:
        classes = [line.strip() for line in lines.rstrip().split("\n")] if lines.strip() else []
    else:
        rows = own.group(1).splitlines() if own else []
        classes = [json.loads(row.partition(": ")[2]) for row in rows]
    twice = next((name for name in classes if classes.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{folder / CLASSES} lists {twice!r} twice", "Keep one of the two lines.")
    return tuple(classes)


def _text_of(path: Path) -> str | None:
    try:
        return decode_text(read_plain_file(path, _LARGEST))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error


def _with_labels(folder: PurePath) -> PurePath | None:
    """``folder`` with its last part ``images`` called ``labels``; None without such a part."""
    parts = list(folder.parts)
    if IMAGES not in parts:
        return None
    parts[len(parts) - 1 - parts[::-1].index(IMAGES)] = LABELS
    return type(folder)(*parts)


def _flat(name: str) -> str:
    return " ".join(name.split())
