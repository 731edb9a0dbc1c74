"""Memory does not grow with the number of inputs. The engine is the fake one: what is measured
is everything around the model.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.commands.fake_process import Process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux says it in /proc"),
]

# In MiB. What 4,000 more names, hashes and places in a journal may take.
GROWTH_OF_A_FOLDER = 5
GROWTH_OF_A_DOCUMENT = 12


def peak(folder: Path, answer: str, *arguments: object) -> float:
    """The largest resident memory of ``dvl2 ARGUMENTS`` in ``folder``, in MiB."""
    # The usage that wait4 gives would be that of the process that forked, if it is larger.
    status = folder / "status"
    process = Process(folder, answer=answer, peak=str(status))
    with (folder / "rows").open("wb") as rows:
        done = process.run(*arguments, cwd=folder, stdout=rows, timeout=250)
    assert done.returncode == 0, done.stderr
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text(encoding="utf-8"))
    assert found
    return int(found[1]) / 1024


def many_pictures(folder: Path, count: int) -> None:
    """``count`` picture files, no two with the same bytes."""
    folder.mkdir()
    buffer = io.BytesIO()
    Image.new("RGB", (32, 24), "white").save(buffer, "PNG")
    for index in range(count):
        (folder / f"{index:05}.png").write_bytes(buffer.getvalue() + b"%d" % index)


def test_five_thousand_pictures_take_the_memory_of_a_thousand(tmp_path: Path) -> None:
    many_pictures(tmp_path / "few", 1000)
    many_pictures(tmp_path / "many", 5_000)
    few = peak(tmp_path, "word " * 20, "caption", "few", "-o", "few.csv")
    many = peak(tmp_path, "word " * 20, "caption", "many", "-o", "many.csv")
    assert len((tmp_path / "many.csv").read_bytes().splitlines()) == 5_001
    print(f"peak {few:.1f} MiB for 1,000 pictures, {many:.1f} MiB for 5,000")
    assert many - few < GROWTH_OF_A_FOLDER


def test_250_pages_take_the_memory_of_fifty(tmp_path: Path) -> None:
    noise = Image.effect_noise((612, 792), 40)
    first, *others = (noise.point(lambda grey, by=index: grey ^ by % 256) for index in range(250))
    first.save(tmp_path / "long.pdf", save_all=True, append_images=others, resolution=72)
    answer = "A line of text.\n" * 40
    reading = ("ocr", "long.pdf", "--dpi", "100", "-o", "out", "-f", "md")
    few = peak(tmp_path, answer, *reading, "--pages", "1-50")
    many = peak(tmp_path, answer, *reading)
    assert (tmp_path / "out" / "long.md").read_text(encoding="utf-8").count("\n---\n") == 249
    print(f"peak {few:.1f} MiB for 50 pages, {many:.1f} MiB for 250")
    assert many - few < GROWTH_OF_A_DOCUMENT
