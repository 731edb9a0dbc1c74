"""The line that says what is being done: only on stderr's terminal, and never in the data."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from dvl2_cli.ui.progress import Progress, listed, rate, short_name, time_left
from tests.commands.conftest import picture
from tests.commands.fake_process import Process, folder_of
from tests.terminal import Terminal


@pytest.fixture
def process(tmp_path: Path) -> Process:
    process = Process(tmp_path, answer="some text", delay=0.2)
    process.environment |= {"TERM": "xterm-256color"}
    for name in ("NO_COLOR", "COLUMNS", "LINES"):  # the terminal's own size counts
        process.environment.pop(name, None)
    return process


def terminal(process: Process, *words: str, columns: int = 120) -> Terminal:
    """``dvl2 WORDS`` with stdout and stderr on one terminal."""
    command = process.command(*words)[1:]
    return Terminal(*command, env=process.environment, cwd=process.folder, columns=columns)


def test_a_batch_is_counted_and_its_rows_stay_whole(process: Process, tmp_path: Path) -> None:
    folder_of(tmp_path, 4)
    (tmp_path / "in" / "001.png").write_bytes(b"no picture")
    with terminal(process, "ocr", "in") as shown:
        assert shown.end() == 1
        assert b"/4" in shown.raw
        assert b"looking at in/003.png" in shown.raw
        text = shown.text
    assert text.count("some text") == 3
    assert "dvl2: 3 read, 1 failed: in/001.png" in text.splitlines()[-1]
    assert "looking" not in text
    assert "/4" not in text


@pytest.mark.parametrize("words", [("ground", "in", "car"), ("caption", "in")])
def test_other_commands_count_too(process: Process, tmp_path: Path, words: tuple[str, ...]) -> None:
    folder_of(tmp_path, 3)
    with terminal(process, *words) as shown:
        shown.end()
        assert b"looking at in/002.png" in shown.raw
        assert b"/3" in shown.raw
        assert "looking" not in shown.text


def test_one_input_has_a_spinner_and_no_count(process: Process, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with terminal(process, "ocr", "a.png") as shown:
        assert shown.end() == 0
        assert b"looking at a.png" in shown.raw
        assert b"0/1" not in shown.raw
        assert shown.text == "some text"


def test_a_narrow_terminal_has_room_for_it(process: Process, tmp_path: Path) -> None:
    folder_of(tmp_path, 2)
    with terminal(process, "ocr", "in", columns=40) as shown:
        assert shown.end() == 0
        assert b"1/2" in shown.raw
        assert [line for line in shown.text.splitlines() if "/2" in line] == []


def test_pages_of_a_document_are_counted(process: Process, tmp_path: Path) -> None:
    from PIL import Image

    pages = [Image.new("RGB", (80, 60), colour) for colour in ("red", "green", "blue")]
    pages[0].save(tmp_path / "scan.tiff", save_all=True, append_images=pages[1:])
    with terminal(process, "ocr", "scan.tiff") as shown:
        assert shown.end() == 0
        assert b"looking at scan.tiff page 3 of 3" in shown.raw
        assert b"2/3" in shown.raw
        assert "dvl2: 3 read" in shown.text


def test_quiet_and_dumb_terminals_see_nothing_of_it(process: Process, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with terminal(process, "ocr", "-q", "a.png") as shown:
        assert shown.end() == 0
        assert b"looking" not in shown.raw
    process.environment["TERM"] = "dumb"
    with terminal(process, "ocr", "a.png") as shown:
        assert shown.end() == 0
        assert b"looking" not in shown.raw


def test_without_colour_it_moves_but_has_none(process: Process, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    process.environment["NO_COLOR"] = "1"
    with terminal(process, "ocr", "a.png") as shown:
        shown.wait("looking at a.png")
        assert shown.end() == 0
        assert b"\x1b[3" not in shown.raw


def test_a_pipe_gets_neither_line_nor_count(process: Process, tmp_path: Path) -> None:
    folder_of(tmp_path, 2)
    done = process.run("ocr", tmp_path / "in", stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    assert done.stderr == b""


def test_the_cursor_comes_back_where_the_model_is_not_there(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    gate = tmp_path / "gate"
    process = Process(tmp_path, gate=str(gate), broken="the model is broken")
    process.environment |= {"TERM": "xterm-256color"}
    (tmp_path / "rows.jsonl").write_text(
        '{"id": "a", "messages": [{"role": "user", "content": "What?"},'
        ' {"role": "assistant", "content": "That."}]}\n',
        encoding="utf-8",
    )
    for words in (("ocr", "a.png"), ("eval", "rows.jsonl")):
        gate.unlink(missing_ok=True)
        with terminal(process, *words) as shown:
            shown.wait("loading the model")
            gate.touch()
            assert shown.end() == 3
            assert shown.text == "dvl2: the model is broken"
            assert shown.raw.rfind(b"\x1b[?25h") > shown.raw.rfind(b"\x1b[?25l") >= 0


@pytest.mark.parametrize("width", [20, 40, 80, 120])
@pytest.mark.parametrize("total", [1, 12_000])
def test_it_is_one_line_however_long_the_name(width: int, total: int) -> None:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, height=20)
    progress = Progress(lambda: console, shown=True)
    progress.expect(total)
    progress.show(f"looking at {short_name('写真' * 60)} page 3 of 12")
    try:
        assert progress._line is not None
        (line,) = console.render_lines(progress._line.get_renderable(), pad=False)
    finally:
        progress.close()
    text = "".join(segment.text for segment in line)
    assert "looking"[: width - 18] in text
    assert ("/12000" in text) == (total > 1)
    assert cell_len(text.rstrip()) <= width


def test_names_and_rates() -> None:
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed(["a"]) == "a"
    assert (rate(None), rate(2.5), rate(0.1)) == ("", "2.5/s", "10.0 s each")
    assert (time_left(None), time_left(65.2), time_left(3671)) == ("", "1:05 left", "1:01:11 left")
    assert short_name("in/a.png") == "in/a.png"
    assert short_name("https://example.org/pictures/scene.png") == "scene.png"
    assert short_name("x" * 50) == "…" + "x" * 23
