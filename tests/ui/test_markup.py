"""Names that look like Rich's markup or an emoji are shown as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.table import Table

from dvl2_cli.benchmarking.result import BenchResult, Machine, Memory, Peaks, Speeds
from dvl2_cli.commands.bench_table import render_bench
from dvl2_cli.options import CommonOptions
from dvl2_cli.ui.console import Console
from tests.store.tiny_checkpoint import write_checkpoint
from tests.terminal import Terminal

NAME = "[red]x :cat:"


@pytest.mark.parametrize("stream", ["out", "err"])
def test_lines_and_cells(stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    console = getattr(Console(CommonOptions()), f"rich_{stream}")()
    table = Table(NAME, box=None)
    table.add_row(f"cell {NAME}")
    console.print(f"line {NAME}")
    console.print(table)
    lines = getattr(capsys.readouterr(), stream).splitlines()
    assert [line.strip() for line in lines] == [f"line {NAME}", NAME, f"cell {NAME}"]


def test_the_model_of_a_benchmark(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(f"a CPU {NAME}", 2, 2, 8, "no", {"torch": "2"})
    speeds = Speeds(*range(1, 15))
    memory, peaks = Memory(*range(1, 11)), Peaks(3.0, 2.0, 1.0)
    result = BenchResult(f"/models/{NAME}", "int4", machine, speeds, memory, 1, 1, peaks)
    render_bench(result, Console(CommonOptions()).rich_out())
    shown = capsys.readouterr().out
    assert f"/models/{NAME}, int4" in shown
    assert f"a CPU {NAME}" in shown


def test_a_folder_on_a_terminal(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / NAME)
    words = ("-m", "dvl2_cli", "show", f"./{NAME}")
    environment = {**os.environ, "TERM": "xterm-256color"}
    with Terminal(*words, env=environment, cwd=tmp_path, columns=200) as terminal:
        assert terminal.end() == 0
        assert terminal.text.count(NAME) == 2
