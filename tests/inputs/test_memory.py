"""Decoded pictures count against ``--max-memory``."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dvl2_cli.inputs import decode
from dvl2_cli.inputs.load import Reading, read_all
from dvl2_cli.inputs.memory import check_memory, memory_of, page_pixels
from dvl2_cli.inputs.picture import InputLimits, PictureMemoryError, Unreadable
from tests.commands.conftest import Cli, cli, picture
from tests.fakes import FakeEngine

__all__ = ["cli"]


def no_decoding(*_: object) -> None:
    pytest.fail("the picture was decoded")


def test_a_picture_that_does_not_fit_is_refused_undecoded(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """81 megapixels of 16 bits under 1 GB, of which half is the runtime's."""
    path = tmp_path / "scan.png"
    Image.new("I;16", (9000, 9000)).save(path)
    monkeypatch.setattr(decode, "upright_rgb", no_decoding)
    for command in (["ocr", path], ["ground", path, "star"], ["caption", path]):
        engine = FakeEngine()
        done = cli(*command, "--max-memory", "1GB", "--json", "-m", "nano", engine=engine)
        assert done.code == 4, done.err
        (row,) = done.rows
        assert row["error"]["code"] == "oom"
        assert "9000 x 9000 pixels: reading it takes" in row["error"]["message"]
        assert not engine.requests
    done = cli("chat", path, "-p", "Hi", "--max-memory", "1GB", "-m", "nano")
    assert done.code == 4
    assert "larger --max-memory" in done.err


def test_what_fits_is_read_beside_what_does_not(cli: Cli, tmp_path: Path) -> None:
    small = picture(tmp_path / "a.png")
    Image.new("1", (12_000, 12_000)).save(tmp_path / "b.png")
    done = cli("caption", tmp_path, "--max-memory", "1GB", "-m", "nano", engine=FakeEngine("A."))
    assert done.code == 1
    assert [row["status"] for row in done.rows] == ["ok", "failed"]
    assert done.rows[0]["source"]["path"] == str(small)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P", "CMYK", "I;16", "F", "LA", "new"])
def test_the_limit_is_exact(mode: str) -> None:
    size = (300, 200)
    needed = memory_of(size, mode)
    assert needed >= 7 * 300 * 200  # at least the RGB picture and its bytes
    check_memory("a", size, mode, InputLimits(memory_bytes=needed))
    check_memory("a", size, mode, InputLimits())
    with pytest.raises(PictureMemoryError):
        check_memory("a", size, mode, InputLimits(memory_bytes=needed - 1))


def test_pages_of_a_pdf_get_fewer_pixels() -> None:
    assert page_pixels(InputLimits()) == InputLimits().page_pixels
    assert page_pixels(InputLimits(memory_bytes=10**7)) < 10**7 // 7
    assert page_pixels(InputLimits(memory_bytes=0)) == 1


@pytest.mark.parametrize("failing", ["upright_rgb", "_open"])
def test_memory_that_ends_while_decoding_fails_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    paths = [picture(tmp_path / "a.png"), picture(tmp_path / "b.png", "red")]
    usual, calls = getattr(decode, failing), []

    def scarce(*given: object) -> object:
        calls.append(given)
        if len(calls) == 1:
            raise MemoryError
        return usual(*given)

    monkeypatch.setattr(decode, failing, scarce)
    first, second = read_all(paths, reading=Reading())
    assert isinstance(first, Unreadable)
    assert isinstance(first.error, PictureMemoryError)
    assert first.error.exit_code == 4
    assert first.error.message.startswith("there is not enough memory")
    assert "\n" not in first.error.message
    assert not isinstance(second, Unreadable)
