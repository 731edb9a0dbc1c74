from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dvl2_cli.engine.session import Session
from dvl2_cli.errors import ModelError
from dvl2_cli.options import CommonOptions
from dvl2_cli.settings import load_settings
from dvl2_cli.store.copies import copy_folder, is_current
from dvl2_cli.store.names import RELEASED, HubId, parse_name
from dvl2_cli.store.places import models_folder, nano_folder
from dvl2_cli.store.records import Record, all_records, find_record, write_record
from dvl2_cli.store.resolve import ModelSpec, Resolved, resolve
from dvl2_cli.ui.console import Console
from tests.store.tiny_checkpoint import write_checkpoint, write_json

TINY = RELEASED["tiny"]
COMMIT = "a" * 40


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "models"
    monkeypatch.setenv("DVL2_MODELS", str(folder))
    monkeypatch.delenv("DVL2_MODEL", raising=False)
    monkeypatch.setenv("DVL2_CONFIG", str(tmp_path / "settings.toml"))
    return folder


@pytest.fixture
def nano(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_checkpoint(tmp_path / "bundled")
    monkeypatch.setattr("dvl2_cli.store.resolve.nano_folder", lambda: folder)
    return folder


def pulled(
    model_id: str = TINY, commit: str = COMMIT, *, copies: tuple[str, ...] = (), at: float = 1.0
) -> Record:
    record = Record(model_id, commit, "main", "mit", at, ())
    write_checkpoint(record.original)
    for quant in copies:
        shutil.copytree(record.original, record.folder / quant)
    write_record(record)
    return record


def refusal(spec: ModelSpec) -> str:
    with pytest.raises(ModelError) as caught:
        resolve(spec)
    return f"{caught.value.message} | {caught.value.hint}"


def test_order(
    nano: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def chosen(flag: str | None = None) -> Resolved:
        settings = load_settings()
        if flag:
            settings = replace(settings, model=flag, sources={"model": "flag --model"})
        return resolve(Session(settings=settings).spec)

    assert chosen().folder == nano
    assert chosen().is_nano
    assert chosen().reason.startswith("bundled")
    old = pulled(at=1.0)
    new = pulled("owner/other", at=2.0)
    assert (chosen().id, chosen().reason) == ("owner/other", "last pulled")
    (tmp_path / "settings.toml").write_text('model = "tiny"\n', encoding="utf-8")
    assert (chosen().id, chosen().folder) == (TINY, old.original)
    assert "settings.toml:1" in chosen().reason
    monkeypatch.setenv("DVL2_MODEL", "owner/other")
    assert chosen().folder == new.original
    assert chosen().reason == "from DVL2_MODEL"
    assert chosen("nano").is_nano
    assert chosen("nano").reason == "from flag --model"
    Console(CommonOptions()).note(chosen().describe())
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"dvl2: model owner/other@{COMMIT[:8]} (from DVL2_MODEL)\n"


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("nano", None),
        ("NANO", None),
        ("tiny", HubId("deepseek-ai/deepseek-vl2-tiny")),
        ("Small", HubId("deepseek-ai/deepseek-vl2-small")),
        ("base", HubId("deepseek-ai/deepseek-vl2")),
        ("27b", HubId("deepseek-ai/deepseek-vl2")),
        ("deepseek-vl2-tiny", HubId("deepseek-ai/deepseek-vl2-tiny")),
        ("owner/name-1.0", HubId("owner/name-1.0")),
        ("./there", Path("./there")),
        ("/a/b", Path("/a/b")),
    ],
)
def test_names(name: str, meaning: HubId | Path | None) -> None:
    assert parse_name(name) == meaning


@pytest.mark.parametrize("name", ["huge", "a/b/c", "a--b/c", "a/../b", "ä/b", "a b/c", "-x/y", ""])
def test_not_names(name: str) -> None:
    with pytest.raises(ModelError, match="no model is called") as caught:
        parse_name(name)
    assert "nano, tiny, small, base" in (caught.value.hint or "")


def test_an_existing_folder_wins_over_an_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_name("owner/name") == HubId("owner/name")
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert parse_name("owner/name") == Path("owner/name")


def test_short_names_come_back() -> None:
    assert HubId(TINY).short == "tiny"
    assert HubId("owner/name").short == "owner/name"


def test_missing_models_say_how_to_get_them(tmp_path: Path) -> None:
    assert f"{TINY} is not on this machine | Fetch it: dvl2 pull tiny" in refusal(ModelSpec("tiny"))
    said = refusal(ModelSpec("owner/x", revision="v2", quant="int4"))
    assert said.endswith("dvl2 pull owner/x --revision v2 --quant int4")
    assert "does not exist" in refusal(ModelSpec(str(tmp_path / "absent")))
    (tmp_path / "empty").mkdir()
    assert "holds no config.json" in refusal(ModelSpec(str(tmp_path / "empty")))


@pytest.mark.parametrize(
    ("copies", "quant", "cuda", "chosen"),
    [
        ((), None, False, "none"),
        (("int4", "int8"), None, False, "int4"),
        (("int8",), "auto", False, "int8"),
        (("int4", "nf4"), "auto", True, "nf4"),
        (("nf4",), "auto", False, "none"),
        (("int4",), "auto", True, "none"),
        (("int4",), "none", False, "none"),
        (("int4", "int8"), "int8", False, "int8"),
    ],
)
def test_copies(copies: tuple[str, ...], quant: str | None, cuda: bool, chosen: str) -> None:
    record = pulled(copies=copies)
    resolved = resolve(ModelSpec("tiny", quant=quant, cuda=cuda))
    assert resolved.quant == chosen
    assert resolved.folder == (record.original if chosen == "none" else record.folder / chosen)


def test_a_copy_that_is_not_there() -> None:
    record = pulled(copies=("int4",))
    said = refusal(ModelSpec("tiny", quant="int8"))
    assert said.startswith(f"there is no int8 copy of {TINY} here, only none, int4")
    assert said.endswith("dvl2 quantize tiny --quant int8")
    shutil.rmtree(record.original)
    assert resolve(ModelSpec("tiny")).quant == "int4"
    assert refusal(ModelSpec("tiny", quant="none")).endswith("dvl2 pull tiny")


def test_unfinished_copies_do_not_count() -> None:
    record = pulled()
    (record.folder / "int4").mkdir()
    write_checkpoint(record.folder / "int8.partial")
    assert record.copies() == {"none": record.original}
    assert resolve(ModelSpec("tiny")).quant == "none"


def test_a_folder_without_its_record_does_not_count(models: Path) -> None:
    record = pulled()
    (record.folder / "record.json").unlink()
    assert not list(all_records())
    assert "is not on this machine" in refusal(ModelSpec("tiny"))


def test_revisions() -> None:
    pulled(commit="b" * 40, at=1.0)
    pulled(commit=COMMIT, at=2.0)
    hub_id = HubId(TINY)
    found = find_record(hub_id)
    assert found is not None
    assert found.revision == COMMIT
    assert resolve(ModelSpec("tiny", revision="b" * 40)).revision == "b" * 40
    assert resolve(ModelSpec("tiny", revision="bbbbbbb")).revision == "b" * 40
    assert find_record(hub_id, "bbb") is None
    assert find_record(hub_id, "main") == found
    assert "at revision v9 is not on this machine" in refusal(ModelSpec("tiny", revision="v9"))


def test_use_is_remembered() -> None:
    record = pulled()
    os.utime(record.folder / "record.json", (5.0, 5.0))
    assert record.used_at == 5.0
    resolve(ModelSpec("tiny"))
    assert time.time() - record.used_at < 60
    assert find_record(HubId(TINY)) == record


def test_copies_of_a_folder(tmp_path: Path, models: Path) -> None:
    source = write_checkpoint(tmp_path / "mine")
    assert "does not exist | Make it: dvl2 quantize" in refusal(
        ModelSpec(str(source), quant="int4")
    )
    copy = copy_folder(source, "int4")
    assert copy.is_relative_to(models_folder())
    assert copy_folder(tmp_path / "other", "int4") != copy
    write_checkpoint(copy)
    assert resolve(ModelSpec(str(source), quant="int4")).folder == copy
    assert resolve(ModelSpec(str(source), quant="auto")).folder == source
    later = time.time() + 60
    os.utime(source / "model.safetensors", (later, later))
    assert not is_current(copy, source)
    assert "is older than the model" in refusal(ModelSpec(str(source), quant="int4"))


def test_copies_of_a_pulled_model_lie_beside_it() -> None:
    record = pulled()
    assert copy_folder(record.original, "int4") == record.folder / "int4"


def test_what_a_folder_says_of_itself(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "m")
    for table, quant in [
        (
            {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
            "nf4",
        ),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "int8"),
        ({"quant_method": "gptq"}, "gptq"),
    ]:
        write_json(folder / "config.json", {"quantization_config": table})
        assert resolve(ModelSpec(str(folder))).quant == quant


def test_the_bundled_model_is_looked_for_beside_the_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path / "dvl2_nano")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert nano_folder() == tmp_path / "dvl2_nano"


def test_no_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvl2_cli.store.resolve.nano_folder", lambda: None)
    assert "the bundled model is not in this installation" in refusal(ModelSpec())
