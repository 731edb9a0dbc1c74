"""What goes wrong while a copy is made: one clear line, nothing lost, and the next run goes on."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from deepseek_vl_v2.quantized_rounding import quantise
from dvl2_cli.errors import ModelError, OutputError
from dvl2_cli.folders import replace_folder
from dvl2_cli.quantizing.conversion import REPORT, file_hash
from dvl2_cli.quantizing.journal import JOURNAL
from dvl2_cli.quantizing.quantize import Format, quantize_model
from dvl2_cli.store.records import Record, StoredFile, write_record
from tests import golden_data

SOURCE = golden_data.ROOT / "checkpoints" / "mla"


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


def own_checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for path in SOURCE.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def shard_of(folder: Path) -> Path:
    return min(folder.glob("*.safetensors"))


def fail_after(monkeypatch: pytest.MonkeyPatch, name: str, calls: int, code: int) -> None:
    real = getattr(os, name)
    made = []

    def failing(*arguments: Any) -> Any:
        made.append(1)
        if len(made) > calls:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    monkeypatch.setattr(os, name, failing)


@pytest.mark.parametrize(
    ("name", "calls", "code", "remedy"),
    [
        ("pwrite", 60, errno.ENOSPC, "Free some space"),
        ("posix_fallocate", 2, errno.ENOSPC, "Free some space"),
        ("fsync", 3, errno.EDQUOT, None),
        ("open", 1, errno.EACCES, "Write to a folder you own"),
        ("open", 1, errno.EROFS, "read-only"),
    ],
)
def test_what_was_written_before_a_fault_is_kept(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    calls: int,
    code: int,
    remedy: str | None,
) -> None:
    quantize_model(SOURCE, Format.int4, tmp_path / "whole", silent)
    copy, journal = tmp_path / "copy", tmp_path / "copy.partial" / JOURNAL
    with monkeypatch.context() as broken:
        fail_after(broken, name, calls, code)
        with pytest.raises(OutputError) as caught:
            quantize_model(SOURCE, Format.int4, copy, silent)
    assert os.strerror(code) in caught.value.message
    assert "\n" not in caught.value.message
    assert remedy is None or remedy in (caught.value.hint or "")
    assert not copy.exists()
    kept = journal.read_text("utf-8").count('"tensor"') if journal.exists() else 0
    packed: list[int] = []

    def counted(*arguments: Any) -> Any:
        packed.append(1)
        return quantise(*arguments)

    monkeypatch.setattr("dvl2_cli.quantizing.conversion.quantise", counted)
    quantize_model(SOURCE, Format.int4, copy, silent)
    if name == "pwrite":
        assert kept > 40
        everything = json.loads((copy / "model.safetensors.index.json").read_bytes())
        assert len(packed) < len(everything["weight_map"]) - 30
    for path in (tmp_path / "whole").iterdir():
        if path.name != REPORT:
            assert (copy / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"\xff" * 8, "header"),
        (b"\x08\0\0\0\0\0\0\0not json", "header"),
        (b"<!doctype html>\n<html>", "header"),
    ],
)
def test_a_shard_with_a_damaged_header_is_refused(tmp_path: Path, head: bytes, words: str) -> None:
    source = own_checkpoint(tmp_path / "source")
    shard = shard_of(source)
    shard.write_bytes(head + shard.read_bytes()[len(head) :])
    with pytest.raises(ModelError) as caught:
        quantize_model(source, Format.int4, tmp_path / "copy", silent)
    assert shard.name in caught.value.message
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")
    shard = shard_of(source)
    shard.unlink()
    with pytest.raises(ModelError, match=shard.name):
        quantize_model(source, Format.int4, tmp_path / "copy", silent)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


def test_a_shard_that_shrinks_meanwhile_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    source = own_checkpoint(tmp_path / "source")
    shard = max(source.glob("*.safetensors"))
    content = shard.read_bytes()

    def shrink(done: int, total: int) -> None:
        if done > 0.3 * total:
            os.truncate(shard, len(content) // 2)

    with pytest.raises(ModelError, match="ends within"):
        quantize_model(source, Format.int4, tmp_path / "copy", shrink)
    assert (tmp_path / "copy.partial" / JOURNAL).exists()
    shard.write_bytes(content)
    assert quantize_model(source, Format.int4, tmp_path / "copy", silent).made


def test_a_kill_between_the_renames_loses_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, copy = own_checkpoint(tmp_path / "source"), tmp_path / "c[o]py"
    quantize_model(source, Format.int4, copy, silent)
    content = shard_of(copy).read_bytes()
    copy.rename(tmp_path / ".c[o]py.old.4711")
    assert not quantize_model(source, Format.int4, copy, silent).made
    assert shard_of(copy).read_bytes() == content
    # As long as a newer one is not there, it stays.
    copy.rename(tmp_path / ".c[o]py.old.4711")
    later = time.time() + 60
    os.utime(shard_of(source), (later, later))
    with monkeypatch.context() as broken:
        fail_after(broken, "pwrite", 60, errno.ENOSPC)
        with pytest.raises(OutputError):
            quantize_model(source, Format.int4, copy, silent)
    assert shard_of(copy).read_bytes() == content


def test_a_kill_after_the_renames_leaves_no_second_copy(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    quantize_model(SOURCE, Format.int4, copy, silent)
    left = tmp_path / ".copy.old.4711"
    left.mkdir()
    (left / "config.json").write_text("{}", encoding="utf-8")
    assert not quantize_model(SOURCE, Format.int4, copy, silent).made
    assert not left.exists()


def test_a_folder_that_cannot_be_renamed_leaves_the_old_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, partial = tmp_path / "copy", tmp_path / "copy.partial"
    for folder in (copy, partial):
        folder.mkdir()
    (copy / "old").touch()
    rename = Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if path == partial:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError):
        replace_folder(partial, copy)
    assert (copy / "old").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "copy.partial"]


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """The golden checkpoint as ``dvl2 pull`` leaves it."""
    commit = "c" * 40
    from dvl2_cli.store.names import HubId
    from dvl2_cli.store.places import commit_folder

    folder = own_checkpoint(commit_folder(HubId("someone/a-model"), commit) / "original")
    files = tuple(
        StoredFile(path.name, path.stat().st_size, file_hash(path)) for path in folder.iterdir()
    )
    write_record(Record("someone/a-model", commit, "main", None, 0.0, files))
    return folder


def test_a_pulled_model_that_decayed_on_the_disk_is_refused(pulled: Path, tmp_path: Path) -> None:
    shard = shard_of(pulled)
    content = bytearray(shard.read_bytes())
    content[-1000] ^= 1
    shard.write_bytes(content)
    copy = tmp_path / "copy"
    with pytest.raises(ModelError, match="SHA-256") as caught:
        quantize_model(pulled, Format.int8, copy, silent)
    assert shard.name in caught.value.message
    assert "dvl2 pull someone/a-model" in (caught.value.hint or "")
    assert not copy.exists()
    content[-1000] ^= 1
    shard.write_bytes(content)
    assert quantize_model(pulled, Format.int8, copy, silent).made


def test_hashes_that_the_caller_checked_are_not_checked_again(
    pulled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path) -> None:
        raise AssertionError("hashed again")

    monkeypatch.setattr("dvl2_cli.quantizing.quantize.check_hashes", refuse)
    assert quantize_model(pulled, Format.int8, tmp_path / "copy", silent, verified=True).made
