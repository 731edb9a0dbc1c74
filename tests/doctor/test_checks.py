"""The checks one by one, with what they look at broken."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from deepseek_vl_v2.kernels import build, library
from dvl2_cli.doctor import kernels, nano, software
from dvl2_cli.doctor.check import Check, Status, guarded, ok
from dvl2_cli.doctor.folders import folder_checks
from dvl2_cli.doctor.machine import machine_checks
from dvl2_cli.doctor.models import model_reports
from dvl2_cli.engine.local.self_test import SelfTest, run_self_test
from dvl2_cli.history.store import History
from dvl2_cli.planning.hardware import Fact
from dvl2_cli.store.places import nano_folder
from tests import golden_data
from tests.planning.test_plan import GB, card, machine
from tests.store.tiny_checkpoint import write_checkpoint


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_part_that_breaks_is_one_failed_check() -> None:
    def broken() -> Iterator[Check]:
        yield ok("g", "first", "fine")
        raise ValueError("torn")

    first, second = guarded("g", "part", broken)
    assert first.status is Status.OK
    assert (second.name, second.status, second.found) == ("part", Status.FAILED, "ValueError: torn")
    assert second.remedy


def test_versions_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = ["rich>=14", "no-such-thing>=1", "typer>=999", 'absent>=1; extra == "bnb"']
    monkeypatch.setattr(software, "requires", lambda name: needed)
    check = software._libraries()
    assert check.status is Status.FAILED
    assert "no-such-thing is not installed" in check.found
    assert "typer is 0." in check.found
    assert ">=999" in check.found
    assert "rich" not in check.found
    assert "absent" not in check.found


def test_a_library_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torn.py").write_text("raise OSError('libx.so: cannot open')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(software, "version", lambda name: "1.0")
    check = software._imported("torn")
    assert (check.status, check.found) == (Status.FAILED, "1.0 does not import")
    assert "libx.so" in (check.reason or "")


def test_machines() -> None:
    fine = by_name(machine_checks(machine(8 * GB)))
    assert {check.status for check in fine.values()} == {Status.OK}
    assert fine["device"].found == "cpu"
    small = dataclasses.replace(machine(GB // 4), core_limit=Fact(1.5, "cpu.max"))
    checks = by_name(machine_checks(small))
    assert checks["RAM"].status is Status.WARNING
    assert "--threads 1" in (checks["CPU"].remedy or "")
    # The card that the driver sees is not one for this torch.
    checks = by_name(machine_checks(machine(8 * GB, card(GB))))
    assert checks["cuda"].found.startswith("a card")
    assert checks["device"].status is Status.WARNING


def test_settings_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('quant = "int3"\n', encoding="utf-8")
    monkeypatch.setenv("DVL2_CONFIG", str(path))
    check = by_name(folder_checks())["settings"]
    assert check.status is Status.FAILED
    assert f"{path}:1" in check.found
    assert check.remedy == "Correct it: dvl2 config edit"
    path.write_text('quant = "int4"\n', encoding="utf-8")
    check = by_name(folder_checks())["settings"]
    assert (check.status, check.found) == (Status.OK, str(path))
    assert check.reason == f"quant = int4 ({path}:1)"


def test_a_history_that_is_none(user_folders: Path) -> None:
    path = user_folders / "data" / "dvl2" / "history.db"
    assert by_name(folder_checks())["chat history"].reason == "nothing is kept yet"
    assert not path.exists()  # looking makes nothing
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database, but long enough to be taken for one " * 100)
    check = by_name(folder_checks())["chat history"]
    assert check.status is Status.FAILED
    assert check.remedy


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir(mode=0o555)
    monkeypatch.setenv("DVL2_MODELS", str(tmp_path / "models"))
    if os.access(tmp_path / "models", os.W_OK):
        monkeypatch.setattr("dvl2_cli.doctor.folders._writable", lambda path: False)
    check = by_name(folder_checks())["models"]
    assert check.status is Status.WARNING
    assert "DVL2_MODELS" in (check.remedy or "")


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        ("settings", "config/dvl2"),
        ("models", "data/dvl2/models"),
        ("chat history", "data/dvl2"),
        ("chat history", "data/dvl2/history.db"),
        ("state", "state/dvl2"),
        ("state", "state/dvl2/captions"),
        ("state", "state/dvl2/ocr"),
        ("state", "state"),
    ],
)
def test_every_folder_that_dvl2_writes_to_is_looked_at(
    user_folders: Path, monkeypatch: pytest.MonkeyPatch, name: str, closed: str
) -> None:
    if closed.endswith(".db"):
        History(user_folders / closed).close()
    elif closed != "state":
        (user_folders / closed).mkdir(parents=True)
    assert by_name(folder_checks())[name].status is Status.OK
    # Root may write everywhere: what the system would say to anyone else.
    asked = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != user_folders / closed and asked(path, mode)
    )
    check = by_name(folder_checks())[name]
    assert check.status is Status.WARNING
    assert check.remedy
    if name != "models":
        assert check.remedy == f"Change the permissions of {user_folders / closed}."


@pytest.fixture
def fresh_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    library.load_library.cache_clear()
    yield
    library.load_library.cache_clear()


@pytest.mark.usefixtures("fresh_library")
def test_kernels_that_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(library.SWITCH, "0")
    checks = by_name(kernels.kernel_checks())
    assert checks["path"].status is Status.WARNING
    assert checks["path"].remedy == "Unset DVL2_KERNELS."
    assert checks["int4 product"].status is Status.OK  # by torch


def test_kernels_that_were_not_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / library.LIBRARY_NAME
    monkeypatch.setattr(build, "compiler", lambda: "/usr/bin/g++")
    check = kernels._why_torch(path, library.SWITCH)
    assert "were not built" in (check.reason or "")
    assert (check.remedy or "").startswith("Build them: ")
    monkeypatch.setattr(build, "compiler", lambda: None)
    check = kernels._why_torch(path, library.SWITCH)
    assert "no C++ compiler" in (check.reason or "")
    assert (check.remedy or "").startswith("Install g++ or clang++, then: ")
    path.write_bytes(b"no library")
    check = kernels._why_torch(path, library.SWITCH)
    assert "do not load" in (check.reason or "")


def test_kernels_that_are_wrong_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from deepseek_vl_v2 import quantized_linear

    right = quantized_linear.packed_product

    def wrong(*arguments: object) -> object:
        out = right(*arguments)  # type: ignore[arg-type]
        out[0, 0] += 0.01
        return out

    checks = by_name(kernels.kernel_checks())
    assert checks["int4 product"].status is checks["int8 product"].status is Status.OK
    monkeypatch.setattr(quantized_linear, "packed_product", wrong)
    checks = by_name(kernels.kernel_checks())
    assert checks["int4 product"].status is checks["int8 product"].status is Status.FAILED
    assert "DVL2_KERNELS=0" in (checks["int4 product"].remedy or "")


def test_the_self_test_compares_kernels_and_torch() -> None:
    result = run_self_test(golden_data.ROOT / "checkpoints" / "mla")
    if not library.available():
        assert result.distance is None
        return
    assert result.tokens == result.native_tokens
    assert result.distance is not None
    assert result.distance < 1e-4
    assert nano._native(result).status is Status.OK
    far = dataclasses.replace(result, distance=0.01)
    assert nano._native(far).status is Status.FAILED
    other = dataclasses.replace(result, native_tokens=(1, *result.tokens[1:]))
    assert nano._native(other).found.startswith("other 12 tokens")
    assert nano._native(other).status is Status.FAILED


def test_the_record_is_that_of_the_bundled_nano() -> None:
    """Where this fails nano was replaced: python -m dvl2_cli.doctor.nano."""
    folder, recorded = nano_folder(), nano.read_recorded()
    assert folder is not None
    assert recorded is not None
    assert recorded.sha256 == nano.weights_hash(folder)


def test_answers_are_held_to_the_record(tmp_path: Path) -> None:
    folder, recorded = nano_folder(), nano.read_recorded()
    assert folder is not None
    assert recorded is not None
    same = SelfTest(recorded.tokens, recorded.logits, None, None, "no kernels")
    assert nano._recorded(same, folder).status is Status.OK
    moved = (recorded.logits[0] + 1, *recorded.logits[1:])
    check = nano._recorded(dataclasses.replace(same, logits=moved), folder)
    assert check.status is Status.FAILED
    assert "constraints.txt" in (check.remedy or "")
    other = dataclasses.replace(same, tokens=(0, *recorded.tokens[1:]))
    assert nano._recorded(other, folder).status is Status.FAILED
    assert nano._recorded(same, tmp_path).status is Status.WARNING


def test_every_released_model_has_an_outlook() -> None:
    reports = {report.check.name: report for report in model_reports(machine(24 * GB))}
    assert {"nano", "Tiny", "Small", "VL2"} <= reports.keys()
    assert reports["nano"].folder == nano_folder()
    for name, short in (("Tiny", "tiny"), ("Small", "small")):
        check = reports[name].check
        assert check.status is Status.OK
        assert check.remedy == f"dvl2 pull {short}"
        assert "as int4 on cpu" in check.found
        assert check.reason
    # 27 B in bfloat16 and its copy do not fit on the 100 GB disk together with less than that.
    full = dataclasses.replace(machine(24 * GB), disk_free=Fact(10 * GB, "test"))
    reports = {report.check.name: report for report in model_reports(full)}
    assert reports["VL2"].check.status is Status.WARNING
    assert "of disk" in (reports["VL2"].check.remedy or "")
    small = {report.check.name: report for report in model_reports(machine(GB))}
    assert small["VL2"].check.status is Status.WARNING
    assert small["VL2"].row().runs is False
    assert small["VL2"].check.remedy
    assert small["nano"].check.status is Status.OK


def test_copies_that_are_here_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = tmp_path / "deepseek-ai--deepseek-vl2-tiny" / ("c" * 40)
    write_checkpoint(commit / "original")
    write_checkpoint(commit / "int4")
    stopped = tmp_path / "owner--x" / ("d" * 40) / "original.partial"
    stopped.mkdir(parents=True)
    from dvl2_cli.store.records import Record, StoredFile, write_record

    files = (StoredFile("config.json", 3, "0" * 64),)
    monkeypatch.setenv("DVL2_MODELS", str(tmp_path))
    write_record(Record("deepseek-ai/deepseek-vl2-tiny", "c" * 40, "main", None, 1.0, files))
    os.truncate(commit / "int4" / "model.safetensors", 3000)
    mine = write_checkpoint(tmp_path / "mine")
    monkeypatch.setenv("DVL2_MODEL", str(mine))
    reports = {report.check.name: report for report in model_reports(machine(8 * GB))}
    assert reports["tiny"].check.status is Status.OK
    assert reports["tiny int4"].check.status is Status.FAILED
    assert "is truncated" in reports["tiny int4"].check.found
    assert reports["tiny int4"].check.remedy
    assert reports["owner/x"].check.status is Status.WARNING
    assert reports[str(mine)].check.found.startswith("runs as it is on cpu")
    assert "Tiny" not in reports


def test_the_table_reads_without_colour_at_80_columns() -> None:
    from rich.console import Console

    from dvl2_cli.commands.doctor_table import render_checks

    stream = io.StringIO()
    console = Console(file=stream, width=80, no_color=True, highlight=False)
    long = "word " * 30
    checks = [
        ok("one", "name", "found", "reason"),
        Check("one", "a rather long name", Status.FAILED, long, "[red]why", "Do\x1b[31m it."),
        Check("two", "name", Status.WARNING, "found", remedy="Look."),
    ]
    render_checks(checks, console)
    lines = stream.getvalue().splitlines()
    assert all(len(line.rstrip()) <= 80 for line in lines)
    text = " ".join(stream.getvalue().split())
    assert "one ok name found (reason) FAILED" in text
    assert "[red]why" in text
    assert "→ Do\\x1b[31m it." in text
    assert "two warning name found → Look." in text
    assert "\x1b" not in stream.getvalue()
