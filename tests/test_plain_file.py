"""Pipes, devices and endless files where a small file belongs: one line, and no hang."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dvl2_cli.errors import Dvl2Error, ModelError
from dvl2_cli.finetuning.recipe_file import load_recipe
from dvl2_cli.history.transcript import read_transcript
from dvl2_cli.journal import Journal
from dvl2_cli.plain_file import check_plain_file, read_plain_file, read_start
from dvl2_cli.schema.source import read_schema
from dvl2_cli.settings import load_settings
from dvl2_cli.store.contents import licence_of
from dvl2_cli.store.records import read_record
from dvl2_cli.store.resolve import Resolved
from dvl2_cli.writers.caption_sidecar import Sidecars
from dvl2_cli.writers.caption_xmp import with_description
from dvl2_cli.writers.place import earlier_classes


def made(path: Path, kind: str) -> Path:
    """``path`` as a pipe without a writer, or as another name of a device without end."""
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    return path


def test_files_are_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_plain_file(path, 5) == b"12345"
    assert read_start(path, 2) == b"12"
    with pytest.raises(OSError, match="it is over 4 bytes"):
        read_plain_file(path, 4)
    with pytest.raises(FileNotFoundError):
        check_plain_file(tmp_path / "none")
    with pytest.raises(IsADirectoryError):
        read_plain_file(tmp_path, 4)
    assert read_plain_file(Path(os.devnull), 4) == b""


@pytest.mark.parametrize("name", ["a\0b", "half \ud83d"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(OSError, match="no name of a file"):
        read_plain_file(Path(name), 4)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = made(tmp_path / "a", kind)
    for read in (check_plain_file, lambda path: read_plain_file(path, 9)):
        with pytest.raises(OSError, match="it is a pipe or a device, not a file"):
            read(path)


READERS: dict[str, Callable[[Path], object]] = {
    "settings": lambda path: load_settings(path, {}),
    "schema.json": lambda path: read_schema(str(path)),
    "recipe.toml": load_recipe,
    "session.json": read_transcript,
    "classes.txt": lambda path: earlier_classes(path.parent),
    "a.xmp": lambda path: with_description(path, "x"),
    "a.txt": lambda path: Sidecars(".txt", "append").text_for(path, "x"),
    "run.journal": lambda path: Journal(path, "f").__enter__(),
}


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_so_in_one_line(tmp_path: Path, name: str, kind: str) -> None:
    path = made(tmp_path / name, kind)
    with pytest.raises(Dvl2Error) as caught:
        READERS[name](path)
    assert "it is a pipe or a device, not a file" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_an_adapter_of_pipes_is_refused(tmp_path: Path, kind: str) -> None:
    from dvl2_cli.engine.local.adapter import merge_adapter
    from tests.golden_data import model

    (tmp_path / "adapter_config.json").write_text("{}", "utf-8")
    made(tmp_path / "adapter_model.safetensors", kind)
    with pytest.raises(ModelError, match="cannot be read: it is a pipe"):
        merge_adapter(model("mha"), tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_records_and_licences_that_are_no_files_are_none(tmp_path: Path, kind: str) -> None:
    for name in ("record.json", "README.md", "LICENSE"):
        made(tmp_path / name, kind)
    assert read_record(tmp_path) is None
    assert licence_of(Resolved(tmp_path, "x", None, "none", "", is_nano=False)) is None
