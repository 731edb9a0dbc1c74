"""Long screenshots are cut between their lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, Usage
from dvl2_cli.engine.request import Sampling
from dvl2_cli.tasks.reading.page import OnText, PageReader
from dvl2_cli.tasks.reading.slices import slices_of

PITCH, PRINT = 44, 20


def screenshot(height: int, width: int = 600) -> Image.Image:
    """Bars of print, PRINT of every PITCH rows."""
    pixels = np.full((height, width, 3), 255, np.uint8)
    for top in range(PITCH, height - PRINT, PITCH):
        pixels[top : top + PRINT, 20 : width - 20 : 3] = 0
    return Image.fromarray(pixels)


def test_a_long_screenshot_is_cut_where_no_print_stands() -> None:
    page = screenshot(15_000)
    parts = slices_of(page)
    assert len(parts) > 5
    assert all(part.height <= 1200 for part in parts)
    assert b"".join(part.tobytes() for part in parts) == page.tobytes()
    for part in parts:
        edges = np.asarray(part)[[0, -1]]
        assert edges.min() == 255


@pytest.mark.parametrize(
    "size", [(600, 800), (2480, 3508), (600, 2400), (384, 3456), (5000, 20_000)]
)
def test_other_pages_stay_whole(size: tuple[int, int]) -> None:
    page = Image.new("RGB", size)
    assert slices_of(page) == [page]


@given(st.integers(1, 60), st.integers(3000, 12_000), st.integers(0, 9))
def test_slices_make_up_the_page(width: int, height: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    page = Image.fromarray(noise)
    parts = slices_of(page)
    assert len(parts) <= 70
    assert b"".join(part.tobytes() for part in parts) == page.tobytes()


def read(reasons: list[FinishReason]) -> tuple[str, FinishReason, int, str]:
    shown: list[str] = []

    def ask(image: Image.Image, sampling: Sampling | None, on_text: OnText | None) -> Finished:
        del image, sampling
        reason = reasons.pop(0) if reasons else "stop"
        if on_text is not None:
            on_text("x")
        return Finished("x", "x", reason, Usage(10, 5, 3, 0.1, 0.2), Confidence(0.9))

    found = PageReader(ask, Sampling(), lambda text: None).read(screenshot(4000), shown.append)
    return found.text, found.finish_reason, found.quality.bands, "".join(shown)


def test_slices_are_read_from_top_to_bottom() -> None:
    assert read([]) == ("x\nx\nx\nx", "stop", 4, "x\nx\nx\nx")
    assert read(["stop", "length"])[1:3] == ("length", 4)
    assert read(["stop", "cancelled"])[:3] == ("x\nx", "cancelled", 2)
