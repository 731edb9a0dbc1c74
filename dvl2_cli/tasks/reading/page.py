"""Reading a page whole: once more with other settings if the answer repeats itself.

A very high page is read in slices.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dvl2_cli.engine.events import Finished, FinishReason
from dvl2_cli.engine.request import Sampling
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.results.ocr import Block, Quality
from dvl2_cli.tasks.endings import WORST_FIRST
from dvl2_cli.tasks.reading.loops import cut_loop
from dvl2_cli.tasks.reading.slices import slices_of

if TYPE_CHECKING:
    from PIL.Image import Image

OnText = Callable[[str], None]


class Ask(Protocol):
    """Puts the page's question to the model."""

    def __call__(self, image: Image, sampling: Sampling | None, on_text: OnText | None) -> Finished:
        """The answer about ``image``, with ``sampling`` in place of the usual one."""


@dataclass(slots=True)
class PageText:
    """What was read and how it went.

    ``markdown``, ``blocks`` and ``warnings`` (sentences) come from a reader by lines; None where
    the page was read whole.
    """

    text: str
    raw: str
    finish_reason: FinishReason
    usage: UsageTotals
    quality: Quality
    answers: list[Finished] = field(default_factory=list)
    markdown: str | None = None
    blocks: tuple[Block, ...] | None = None
    warnings: tuple[str, ...] | None = None


@dataclass(slots=True)
class PageReader:
    """Reads pages with one question; ``again`` is told when streamed text is not final."""

    ask: Ask
    sampling: Sampling
    again: Callable[[str], None]

    def read(self, page: Image, on_text: OnText | None = None) -> PageText:
        """The text of ``page``; ``on_text`` sees it as it comes."""
        parts: list[PageText] = []
        for part in slices_of(page):
            if parts and on_text is not None:
                on_text("\n")
            parts.append(self._read(part, on_text))
            if parts[-1].finish_reason == "cancelled":
                break
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _read(self, page: Image, on_text: OnText | None) -> PageText:
        result = _page_text(self.ask(page, None, on_text))
        for sampling in self._other_settings():
            if result.finish_reason != "loop":
                break
            self.again("the answer ran into a repetition: reading again with other settings")
            result = _with_retry(result, _page_text(self.ask(page, sampling, None)))
        return result

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


def _joined(parts: Sequence[PageText]) -> PageText:
    """The page whose slices, from top to bottom, are ``parts``."""
    qualities = [part.quality for part in parts]
    answers = [answer for part in parts for answer in part.answers]
    return PageText(
        text="\n".join(part.text for part in parts if part.text),
        raw="\n".join(part.raw for part in parts),
        finish_reason=min((part.finish_reason for part in parts), key=WORST_FIRST.index),
        usage=usage_of(answers),
        quality=Quality(
            loop_detected=any(quality.loop_detected for quality in qualities),
            degenerate=any(quality.degenerate for quality in qualities),
            truncated=any(quality.truncated for quality in qualities),
            retries=sum(quality.retries for quality in qualities),
            bands=len(parts),
        ),
        answers=answers,
    )


def _with_retry(first: PageText, second: PageText) -> PageText:
    """The retry's text, with what both cost."""
    quality = dataclasses.replace(
        second.quality, loop_detected=True, retries=first.quality.retries + 1
    )
    return dataclasses.replace(
        second,
        quality=quality,
        usage=usage_of([*first.answers, *second.answers]),
        answers=[*first.answers, *second.answers],
    )


def usage_of(answers: Sequence[Finished]) -> UsageTotals:
    """What several answers took together."""
    usage = UsageTotals()
    for answer in answers:
        usage = usage.plus(answer.usage)
    return usage
