"""Reading one page: in bands if it is long or its print small, again if the answer loops, is cut
off or doubtful.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.engine.events import Finished, FinishReason
from dvl2_cli.engine.request import Sampling
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.results.ocr import Quality
from dvl2_cli.tasks.reading.bands import Band, can_split, is_long, split, strip_count
from dvl2_cli.tasks.reading.loops import cut_loop
from dvl2_cli.tasks.reading.merge import merge_bands
from dvl2_cli.tasks.reading.stutters import stutters
from dvl2_cli.tasks.reading.views import AsItIs, Views

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEPEST_SPLIT = 2
# Minus the mean log probability of tokens from which on text is read a second time: a line was
# skipped, or read twice, in many readings of nano's training pictures above it and in few below.
_DOUBTFUL = 0.02
# A second reading has at least this share of the first one's characters, and at most that of its
# doubt.
_WHOLE, _CLEARLY = 0.9, 0.67
_RANK: dict[FinishReason, int] = {"stop": 0, "length": 1, "loop": 2, "cancelled": 3}

OnText = Callable[[str], None]


class Ask(Protocol):
    """Puts the page's question to the model."""

    def __call__(
        self,
        image: Image,
        sampling: Sampling | None,
        on_text: OnText | None,
        zoom: float | None = None,
    ) -> Finished:
        """The answer about ``image``, with ``sampling`` and ``zoom`` in place of the usual ones."""


@dataclass(slots=True)
class PageText:
    """What was read and how it went."""

    text: str
    raw: str
    finish_reason: FinishReason
    usage: UsageTotals
    quality: Quality
    answers: list[Finished] = field(default_factory=list)


@dataclass(slots=True)
class PageReader:
    """Reads pages with one question.

    ``again`` is told when streamed text is not final; ``views`` knows how pages are shown.
    """

    ask: Ask
    sampling: Sampling
    again: Callable[[str], None]
    views: Views = field(default_factory=AsItIs)

    def read(self, page: Image, on_text: OnText | None = None) -> PageText:
        """The text of ``page``; ``on_text`` sees it as it comes, where it comes in order."""
        bands = self.bands(page)
        if len(bands) > 1:
            return self._in_bands(page, bands, on_text, depth=0)
        return self._piece(page, on_text, depth=0)

    def pictures(self, page: Image) -> Iterator[tuple[str, Image]]:
        """What is asked about at first, and which part of ``page`` each is ("" for the whole)."""
        bands = self.bands(page)
        for number, band in enumerate(bands, 1):
            part = f"band {number} of {len(bands)}" if len(bands) > 1 else ""
            image = band.of(page)
            halves = self.views.half_lines(image)
            if halves is None:
                yield part, image
                continue
            yield f"{part} first halves of lines".strip(), halves.left
            yield f"{part} second halves of lines".strip(), halves.right

    def bands(self, page: Image) -> list[Band]:
        """What ``page`` is cut into at first."""
        count = strip_count(page.size) if is_long(page.size) else 1
        return split(page, max(count, self.views.bands(page)))

    def _piece(self, image: Image, on_text: OnText | None, depth: int) -> PageText:
        """``image``, its lines in halves where they are long and small."""
        halves = self.views.half_lines(image)
        if halves is None:
            return self._checked(image, on_text, depth)
        read = [self._piece(halves.left, None, depth)]
        if read[0].finish_reason == "cancelled":
            return read[0]
        read.append(self._piece(halves.right, None, depth))
        text = halves.joined(read[0].text, read[1].text)
        if text is None:
            both = _joined(read, "\n".join(item.text for item in read))
            if both.finish_reason == "cancelled":
                return both
            return _after(both, self._checked(image, on_text, depth))
        if on_text is not None:
            on_text(text)  # neither half was whole text to be shown as it came
        return _joined(read, text)

    def _checked(self, image: Image, on_text: OnText | None, depth: int) -> PageText:
        """``image``, and once more if the text is doubtful or has not as many lines."""
        first = self._whole(image, on_text, depth)
        doubt = _measured_doubt(first)
        if depth > _DEEPEST_SPLIT or doubt is None:
            return first
        lines = self.views.lines(image)
        doubtful = depth == 0 and doubt > _DOUBTFUL
        if not doubtful and not _faults(first, lines):
            return first
        return self._second_look(image, first, lines, on_text, depth)

    def _whole(self, image: Image, on_text: OnText | None, depth: int) -> PageText:
        """``image`` in one piece; retried, then split, if the answer cannot be used."""
        answer = self.ask(image, None, on_text)
        result = _page_text(answer)
        for sampling in self._other_settings():
            if result.finish_reason != "loop":
                break
            self.again("the answer ran into a repetition: reading again with other settings")
            retried = _page_text(self.ask(image, sampling, None))
            result = _with_retry(result, retried)
        unfinished = result.finish_reason in ("loop", "length")
        if unfinished and depth < _DEEPEST_SPLIT and can_split(image.height, 2):
            self.again("the page does not fit one answer: reading it in bands")
            pieces = self._in_bands(image, split(image, 2), None, depth + 1)
            return _after(result, pieces)
        return result

    def _second_look(
        self, page: Image, first: PageText, lines: int | None, on_text: OnText | None, depth: int
    ) -> PageText:
        """``first``, or if that is better what is read of ``page`` enlarged, or else in halves, or
        where faults are left, smaller.
        """
        zoom, halves = self.views.closer(page), self.views.divides(page)
        smaller = self.views.farther(page)
        if zoom is None and not halves and (smaller is None or not _faults(first, lines)):
            return first
        if on_text is not None:
            self.again("the text is doubtful: reading again")
        kept, readings = first, [first]
        if zoom is not None:
            readings.append(_page_text(self.ask(page, None, None, zoom)))
            kept = _better(readings[-1], kept, lines)
        settled = readings[-1].finish_reason == "cancelled" or (
            kept is not first and not _faults(kept, lines)
        )
        if not settled and halves:
            readings.append(self._in_bands(page, split(page, 2), None, depth + 1))
            kept = _better(readings[-1], kept, lines)
        cancelled = readings[-1].finish_reason == "cancelled"
        if smaller is not None and not cancelled and _faults(kept, lines):
            readings.append(_page_text(self.ask(page, None, None, smaller)))
            kept = _better(readings[-1], kept, lines)
        again = kept.quality.retries + len(readings) - 1
        quality = dataclasses.replace(kept.quality, retries=again)
        usage = _sum([reading.usage for reading in readings])
        return dataclasses.replace(kept, quality=quality, usage=usage)

    def _other_settings(self) -> list[Sampling]:
        """What to try on a loop: first a penalty, then also chance, repeatably."""
        base = self.sampling
        seed = 0 if base.seed is None else base.seed
        return [
            dataclasses.replace(base, repetition_penalty=1.1),
            dataclasses.replace(
                base, repetition_penalty=1.05, temperature=0.3, top_p=0.9, seed=seed
            ),
        ]

    def _in_bands(
        self, page: Image, bands: list[Band], on_text: OnText | None, depth: int
    ) -> PageText:
        if any(band.shared for band in bands):
            on_text = None  # what two bands share would be shown twice
        read: list[PageText] = []
        for band in bands:
            if read and on_text is not None:
                on_text("\n")
            read.append(self._piece(band.of(page), on_text, depth))
            if read[-1].finish_reason == "cancelled":
                break
        shares = [band.shared / band.height for band in bands[: len(read)]]
        return _joined(read, merge_bands([item.text for item in read], shares))


def _joined(read: list[PageText], text: str) -> PageText:
    """``text`` of a page that was read in pieces."""
    return PageText(
        text=text,
        raw="\n".join(item.raw for item in read),
        finish_reason=max((item.finish_reason for item in read), key=lambda name: _RANK[name]),
        usage=_sum([item.usage for item in read]),
        quality=Quality(
            loop_detected=any(item.quality.loop_detected for item in read),
            degenerate=any(item.quality.degenerate for item in read),
            truncated=any(item.quality.truncated for item in read),
            retries=sum(item.quality.retries for item in read),
            bands=sum(item.quality.bands for item in read),
        ),
        answers=[answer for item in read for answer in item.answers],
    )


def _page_text(answer: Finished) -> PageText:
    text, looped = cut_loop(answer.text) if answer.finish_reason != "stop" else (answer.text, False)
    # An engine without a loop guard runs a loop up to the token limit.
    reason: FinishReason = "loop" if looped else answer.finish_reason
    return PageText(
        text=text.strip(),
        raw=answer.raw,
        finish_reason=reason,
        usage=UsageTotals().plus(answer.usage),
        quality=Quality(
            loop_detected=reason == "loop",
            degenerate=reason == "loop",
            truncated=reason == "length",
        ),
        answers=[answer],
    )


def _measured_doubt(read: PageText) -> float | None:
    """The doubt of a text that ended by itself, if the model's doubts were measured."""
    measured = read.answers[0].confidence.probability_threshold is not None
    plain = read.finish_reason == "stop" and not read.quality.retries
    return _doubt(read) if measured and plain else None


def _faults(read: PageText, lines: int | None) -> int:
    """How many lines too many or too few were read, and how many phrases twice; 0 where it is not
    known how many lines there are.
    """
    if lines is None:
        return 0
    told = sum(1 for line in read.text.splitlines() if line.strip())
    return abs(lines - told) + stutters(read.text)


def _doubt(read: PageText) -> float | None:
    """Minus the mean log probability of the tokens, 0 where all are sure; None if not known."""
    total, tokens = 0.0, 0
    for answer in read.answers:
        probability = answer.confidence.mean_probability
        if probability is None:
            return None
        total -= answer.usage.completion_tokens * math.log(max(probability, 1e-9))
        tokens += answer.usage.completion_tokens
    return total / tokens if tokens else None


def _better(second: PageText, first: PageText, lines: int | None) -> PageText:
    """The one with fewer faults, or where that tells nothing the surer."""
    more = _faults(second, lines) - _faults(first, lines)
    if more > 0:
        return first
    if more < 0 and second.finish_reason == "stop":
        return second
    return _surer(second, first)


def _surer(second: PageText, first: PageText) -> PageText:
    """``second`` if it is clearly surer. One that leaves text out can be sure of the rest."""
    before, after = _doubt(first), _doubt(second)
    whole = second.finish_reason == "stop" and len(second.text) >= _WHOLE * len(first.text)
    clear = before is not None and after is not None and after <= _CLEARLY * before
    return second if whole and clear else first


def _with_retry(first: PageText, second: PageText) -> PageText:
    """The retry's text, with what both cost."""
    quality = dataclasses.replace(
        second.quality, loop_detected=True, retries=first.quality.retries + 1
    )
    return dataclasses.replace(second, quality=quality, usage=_sum([first.usage, second.usage]))


def _after(failed: PageText, pieces: PageText) -> PageText:
    """``pieces``, with what the failed attempt at the whole cost and showed."""
    quality = dataclasses.replace(
        pieces.quality,
        loop_detected=failed.quality.loop_detected or pieces.quality.loop_detected,
        retries=failed.quality.retries + pieces.quality.retries + 1,
    )
    return dataclasses.replace(pieces, quality=quality, usage=_sum([failed.usage, pieces.usage]))


def _sum(parts: list[UsageTotals]) -> UsageTotals:
    return UsageTotals(
        sum(part.prompt_tokens for part in parts),
        sum(part.image_tokens for part in parts),
        sum(part.completion_tokens for part in parts),
        round(sum(part.seconds for part in parts), 3),
    )
