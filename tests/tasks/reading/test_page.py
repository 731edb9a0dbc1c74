from __future__ import annotations

from collections.abc import Callable

from PIL import Image

from dvl2_cli.engine.events import Confidence, Finished, FinishReason, Usage
from dvl2_cli.engine.request import Sampling
from dvl2_cli.tasks.reading.page import OnText, PageReader

Answer = Callable[[Image.Image, Sampling | None], tuple[str, FinishReason]]


def reader(answer: Answer, told: list[str] | None = None) -> PageReader:
    """Reads what ``answer`` says of a picture and the sampling."""

    def ask(image: Image.Image, sampling: Sampling | None, on_text: OnText | None) -> Finished:
        text, reason = answer(image, sampling)
        if on_text is not None:
            on_text(text)
        return Finished(text, text, reason, Usage(10, 5, 3, 0.1, 0.2), Confidence(0.9))

    return PageReader(ask, Sampling(), (told if told is not None else []).append)


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
