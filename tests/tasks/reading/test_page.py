from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from PIL import Image

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, Usage
from dvl2_cli.engine.request import Sampling
from dvl2_cli.tasks.reading.half_lines import HalfLines
from dvl2_cli.tasks.reading.page import OnText, PageReader, PageText

Answer = Callable[[Image.Image, Sampling | None], tuple[str, FinishReason]]
Look = Callable[[Image.Image, Sampling | None, float | None], tuple[str, FinishReason, Confidence]]
WIDE = 600


@dataclass
class Shown:
    """Pages in so many bands and lines, and so many times as large the second and the last time."""

    in_bands: int = 1
    zoom: float | None = None
    halves: bool = False
    in_lines: Callable[[Image.Image], int | None] = lambda page: None
    last_zoom: float | None = None
    cut: tuple[bool, ...] = ()

    def lines(self, page: Image.Image) -> int | None:
        return self.in_lines(page)

    def bands(self, page: Image.Image) -> int:
        return self.in_bands

    def closer(self, page: Image.Image) -> float | None:
        return self.zoom

    def farther(self, page: Image.Image) -> float | None:
        return self.last_zoom

    def divides(self, page: Image.Image) -> bool:
        return self.halves

    def half_lines(self, page: Image.Image) -> HalfLines | None:
        """Both sides of a page that is wide."""
        if not self.cut or page.width < WIDE:
            return None
        middle = page.width // 2
        sides = [page.crop((x, 0, x + middle, page.height)) for x in (0, middle)]
        return HalfLines(sides[0], sides[1], self.cut)


def page_reader(look: Look, views: Shown, told: list[str] | None = None) -> PageReader:
    """Reads what ``look`` says of a picture, the sampling and the zoom."""

    def ask(
        image: Image.Image,
        sampling: Sampling | None,
        on_text: OnText | None,
        zoom: float | None = None,
    ) -> Finished:
        text, reason, confidence = look(image, sampling, zoom)
        if on_text is not None:
            on_text(text)
        return Finished(text, text, reason, Usage(10, 5, 3, 0.1, 0.2), confidence)

    return PageReader(ask, Sampling(), (told if told is not None else []).append, views)


def reader(answer: Answer, told: list[str] | None = None) -> PageReader:
    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        assert zoom is None
        return *answer(image, sampling), Confidence(0.9)

    return page_reader(look, Shown(), told)


def test_a_plain_page_is_read_once() -> None:
    shown: list[str] = []
    read = reader(lambda image, sampling: ("hello\n", "stop")).read(
        Image.new("RGB", (600, 800)), shown.append
    )
    assert (read.text, read.finish_reason) == ("hello", "stop")
    assert (read.quality.retries, read.quality.bands) == (0, 1)
    assert shown == ["hello\n"]


def test_a_loop_is_read_again_with_other_settings() -> None:
    told: list[str] = []

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        if sampling is None:
            return "Total " + "9" * 200, "loop"
        assert sampling.repetition_penalty > 1
        return "Total 9.90", "stop"

    read = reader(answer, told).read(Image.new("RGB", (600, 800)))
    assert (read.text, read.finish_reason) == ("Total 9.90", "stop")
    assert read.quality.loop_detected
    assert not read.quality.degenerate
    assert read.quality.retries == 1
    assert read.usage.prompt_tokens == 20
    assert "repetition" in told[0]


def test_a_loop_that_nothing_resolves_is_flagged_and_cut() -> None:
    read = reader(lambda image, sampling: ("again and " * 40, "loop")).read(
        Image.new("RGB", (300, 200))
    )
    assert read.quality.degenerate
    assert read.finish_reason == "loop"
    assert read.text == "again and"


def test_a_loop_that_an_engine_did_not_notice_is_noticed() -> None:
    read = reader(lambda image, sampling: ("again and " * 40, "length")).read(
        Image.new("RGB", (300, 200))
    )
    assert read.quality.degenerate


def test_a_page_too_dense_for_one_answer_is_read_in_bands() -> None:
    lines = [f"row {index} of {index * 7919}" for index in range(40)]

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        if image.height > 600:
            return "\n".join(lines[:10]), "length"
        top, bottom = image.getpixel((0, 0))[1], image.getpixel((0, image.height - 1))[1]  # type: ignore[index]
        first, last = -(-top * 40 // 200), (bottom + 1) * 40 // 200
        return "\n".join(lines[first:last]), "stop"

    page = Image.new("RGB", (500, 800))
    for row in range(800):
        page.paste((0, row // 4, 0), (0, row, 500, row + 1))
    read = reader(answer).read(page)
    assert read.text.splitlines() == lines
    assert read.finish_reason == "stop"
    assert read.quality.bands == 2
    assert not read.quality.truncated


def test_a_strip_is_cut_before_the_first_answer() -> None:
    heights: list[int] = []

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        heights.append(image.height)
        return f"band {len(heights)}", "stop"

    read = reader(answer).read(Image.new("RGB", (400, 3000), "white"))
    assert len(heights) == read.quality.bands >= 5
    assert max(heights) < 800
    assert read.text.splitlines() == [f"band {number + 1}" for number in range(len(heights))]


def test_small_print_is_read_in_bands_and_shown_as_it_comes() -> None:
    page = Image.new("RGB", (400, 400), "white")
    sizes: list[tuple[int, int]] = []
    shown: list[str] = []

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        sizes.append(image.size)
        return f"line {len(sizes)}", "stop"

    asking = reader(answer)
    asking.views = Shown(in_bands=2)
    read = asking.read(page, shown.append)
    assert sizes == [(400, 200), (400, 200)]
    assert read.text == "line 1\nline 2" == "".join(shown)
    assert (read.quality.bands, read.quality.retries) == (2, 0)


@pytest.mark.parametrize("seconds", ["1\n3", "1"])
def test_halves_of_lines_are_joined_or_the_page_is_read_whole(seconds: str) -> None:
    widths: list[int] = []
    shown: list[str] = []
    firsts = iter(["one\ntwo\nthree", seconds, "the whole"])

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        widths.append(image.width)
        return next(firsts), "stop"

    asking = reader(answer)
    asking.views = Shown(cut=(True, False, True))
    read = asking.read(Image.new("RGB", (800, 100), "white"), shown.append)
    joined = seconds == "1\n3"
    assert widths == ([400, 400] if joined else [400, 400, 800])
    assert read.text == ("one 1\ntwo\nthree 3" if joined else "the whole") == "".join(shown)
    assert read.usage.completion_tokens == 3 * len(widths)
    assert (read.quality.bands, read.quality.retries) == ((2, 0) if joined else (1, 1))


@pytest.mark.parametrize("stopped_at", [1, 2])
def test_after_a_cancelled_half_nothing_more_is_asked(stopped_at: int) -> None:
    asked: list[int] = []
    shown: list[str] = []

    def answer(image: Image.Image, sampling: Sampling | None) -> tuple[str, FinishReason]:
        asked.append(image.width)
        return "half", "cancelled" if len(asked) == stopped_at else "stop"

    asking = reader(answer)
    asking.views = Shown(cut=(True, True))
    read = asking.read(Image.new("RGB", (800, 100), "white"), shown.append)
    assert (asked, read.finish_reason, shown) == ([400] * stopped_at, "cancelled", [])


def test_the_pictures_that_are_asked_about_first_are_named() -> None:
    page = Image.new("RGB", (800, 400), "white")
    asking = reader(lambda image, sampling: ("", "stop"))

    def shown(views: Shown) -> list[tuple[str, tuple[int, int]]]:
        asking.views = views
        return [(part, image.size) for part, image in asking.pictures(page)]

    assert shown(Shown()) == [("", (800, 400))]
    first, second = "first halves of lines", "second halves of lines"
    assert shown(Shown(cut=(True,))) == [(first, (400, 400)), (second, (400, 400))]
    assert shown(Shown(in_bands=2, cut=(True,))) == [
        (f"band {number} of 2 {half}", (400, 200)) for number in (1, 2) for half in (first, second)
    ]


def sure(probability: float, threshold: float | None = 0.9) -> Confidence:
    return Confidence(probability, probability_threshold=threshold)


PAGE = Image.new("RGB", (384, 384), "white")


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        (("Total 9.90", 0.95), "Total 9.90"),
        (("Total 9.90", 0.6), "Tofal 9.9O"),
        # Hardly surer.
        (("Total 9.90", 0.75), "Tofal 9.9O"),
        # Sure of what it has, but that is not all.
        (("Total", 0.99), "Tofal 9.9O"),
    ],
)
def test_a_doubtful_page_is_read_again_and_the_surer_text_kept(
    second: tuple[str, float], kept: str
) -> None:
    readings = {None: ("Tofal 9.9O", 0.7), 2.0: second}

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        text, probability = readings[zoom]
        return text, "stop", sure(probability)

    read = page_reader(look, Shown(zoom=2.0)).read(PAGE)
    assert read.text == kept
    assert read.quality.retries == 1
    assert read.usage.prompt_tokens == 20


def test_what_enlarging_leaves_doubtful_is_read_in_two_bands() -> None:
    sizes: list[tuple[int, int]] = []

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        sizes.append(image.size)
        if image.height == PAGE.height:
            return "Tofal 9.9O Change 0.l0", "stop", sure(0.7)
        return ["Total 9.90", "Change 0.10"][len(sizes) - 3], "stop", sure(0.99)

    read = page_reader(look, Shown(zoom=2.0, halves=True)).read(PAGE)
    assert sizes == [(384, 384), (384, 384), (384, 192), (384, 192)]
    assert read.text == "Total 9.90\nChange 0.10"
    assert (read.quality.retries, read.quality.bands, read.usage.prompt_tokens) == (2, 2, 40)


def test_a_second_look_that_is_cancelled_leaves_the_first() -> None:
    asked: list[float | None] = []

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        asked.append(zoom)
        if zoom is None:
            return "Total 9.90", "stop", sure(0.7)
        return "Total 9.90", "cancelled", sure(0.99)

    read = page_reader(look, Shown(zoom=2.0, halves=True)).read(PAGE)
    assert asked == [None, 2.0]
    assert (read.text, read.finish_reason) == ("Total 9.90", "stop")


@pytest.mark.parametrize(
    ("probability", "threshold", "zoom"), [(0.985, 0.9, 2.0), (0.7, None, 2.0), (0.7, 0.9, None)]
)
def test_a_page_is_read_once_if_sure_or_never_measured_or_as_large_as_can_be(
    probability: float, threshold: float | None, zoom: float | None
) -> None:
    confidence, told = sure(probability, threshold), list[str]()
    reading = page_reader(lambda *_: ("Total", "stop", confidence), Shown(zoom=zoom), told)
    read = reading.read(PAGE, lambda text: None)
    assert (read.text, read.quality.retries) == ("Total", 0)
    assert not told


FOUR = ("Tea 1.00", "Milk 0.90", "Bread 2.20", "Total 4.10")


def four_lines(page: Image.Image) -> int:
    return 4 * page.height // PAGE.height


def test_a_page_of_more_lines_than_were_read_is_read_in_halves() -> None:
    sizes: list[int] = []

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        sizes.append(image.height)
        whole = image.height == PAGE.height
        text = "\n".join(FOUR[:3] if whole else FOUR[:2] if len(sizes) == 3 else FOUR[2:])
        return text, "stop", sure(0.999)

    read = page_reader(look, Shown(zoom=2.0, halves=True, in_lines=four_lines)).read(PAGE)
    assert sizes == [384, 384, 192, 192]
    assert read.text.splitlines() == list(FOUR)
    assert (read.quality.retries, read.quality.bands) == (2, 2)


def test_a_half_that_lacks_lines_is_halved_again() -> None:
    heights: list[int] = []

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        heights.append(image.height)
        return ("x" if image.height > 96 else f"line {len(heights)}"), "stop", sure(0.999)

    read = page_reader(look, Shown(halves=True, in_lines=four_lines)).read(PAGE)
    assert heights == [384, 192, 96, 96, 192, 96, 96]
    assert read.text.splitlines() == ["line 3", "line 4", "line 6", "line 7"]
    assert read.quality.retries == 3


@pytest.mark.parametrize(
    ("second", "kept"),
    [
        ("\n".join(FOUR), "\n".join(FOUR)),
        # No better: a line too many.
        ("\n".join((*FOUR, "Total 4.10")), "\n".join(FOUR[:3])),
        # As many lines, but a phrase twice.
        ("\n".join((*FOUR[:3], "Total amount Total amount")), "\n".join(FOUR[:3])),
    ],
)
def test_of_two_readings_the_one_with_fewer_faults_is_kept(second: str, kept: str) -> None:
    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        text = "\n".join(FOUR[:3]) if zoom is None else second
        return text, "stop", sure(0.999)

    read = page_reader(look, Shown(zoom=2.0, in_lines=four_lines)).read(PAGE)
    assert read.text == kept


def test_lines_are_not_counted_by_a_model_whose_doubts_were_never_measured() -> None:
    views = Shown(zoom=2.0, in_lines=four_lines)
    read = page_reader(lambda *_: ("Total", "stop", sure(0.999, None)), views).read(PAGE)
    assert read.quality.retries == 0


def read_by_zoom(
    answer: Callable[[float | None], tuple[str, FinishReason]], views: Shown
) -> tuple[PageText, list[float | None]]:
    """What is kept of a page that reads as ``answer`` says of a zoom, and the zooms asked for."""
    zooms: list[float | None] = []

    def look(
        image: Image.Image, sampling: Sampling | None, zoom: float | None
    ) -> tuple[str, FinishReason, Confidence]:
        zooms.append(zoom)
        return *answer(zoom), sure(0.999)

    return page_reader(look, views).read(PAGE), zooms


def test_what_no_other_view_mends_is_read_smaller() -> None:
    views = Shown(zoom=2.0, in_lines=four_lines, last_zoom=1.5)
    whole, part = "\n".join(FOUR), FOUR[0]
    read, zooms = read_by_zoom(lambda zoom: (whole if zoom == 1.5 else part, "stop"), views)
    assert (read.text, read.quality.retries) == (whole, 2)
    assert zooms == [None, 2.0, 1.5]


def test_what_is_read_without_faults_is_not_read_smaller() -> None:
    views = Shown(zoom=2.0, in_lines=four_lines, last_zoom=1.5)
    whole, part = "\n".join(FOUR), FOUR[0]
    read, zooms = read_by_zoom(lambda zoom: (part if zoom is None else whole, "stop"), views)
    assert read.text == whole
    assert zooms == [None, 2.0]


def test_after_a_cancelled_look_nothing_more_is_asked() -> None:
    views = Shown(zoom=2.0, halves=True, in_lines=four_lines, last_zoom=1.5)
    read, zooms = read_by_zoom(lambda zoom: (FOUR[0], "cancelled" if zoom else "stop"), views)
    assert read.finish_reason == "stop"
    assert zooms == [None, 2.0]
