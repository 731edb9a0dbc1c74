"""From an engine's answers about one picture to objects in its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dvl2_cli.engine.events import Finished
from dvl2_cli.results.envelope import UsageTotals
from dvl2_cli.results.ground import FoundObject, GroundResult, RejectedBox, Span
from dvl2_cli.tasks.endings import WORST_FIRST, ending
from dvl2_cli.tasks.grounding.coordinates import to_pixels
from dvl2_cli.tasks.grounding.parse import Grounded, Region, parse_grounding


@dataclass(frozen=True, slots=True)
class Located:
    """An answer and the phrase that it answers; None for a grounded caption.

    ``again`` are the answers of ``refine_boxes``, and ``grounded`` the boxes after it.
    """

    query: str | None
    answer: Finished
    again: tuple[Finished, ...] = ()
    grounded: Grounded | None = None

    @property
    def found(self) -> Grounded:
        """The answer taken apart."""
        return self.grounded or parse_grounding(self.answer.raw)


def ground_result(
    located: Sequence[Located],
    size: tuple[int, int],
    *,
    as_caption: bool = False,
    complete: bool = True,
) -> GroundResult:
    """Objects of one picture of ``size`` (width, height), without source and model.

    ``complete`` is False where Ctrl-C left some of the phrases unasked.
    An answer that ended badly, or held boxes none of which could be read, makes the status
    "partial" and gives a warning.
    """
    parsed = [item.found for item in located]
    objects: list[FoundObject] = []
    for item, grounded in zip(located, parsed, strict=True):
        for region in grounded.regions:
            objects.append(_object(len(objects), item.query, region, size))
    rejected = tuple(
        RejectedBox(piece.text, piece.reason) for grounded in parsed for piece in grounded.rejected
    )
    usage = UsageTotals()
    for item in located:
        for answer in (item.answer, *item.again):
            usage = usage.plus(answer.usage)
    ends = [item.answer.finish_reason for item in located]
    # How else a refinement ends does not matter: a box that it does not confirm stays.
    stopped = any(end.finish_reason == "cancelled" for item in located for end in item.again)
    reason = min(ends, key=WORST_FIRST.index) if complete and not stopped else "cancelled"
    longest = max((item.answer.usage.completion_tokens for item in located), default=0)
    warnings = _warnings(ending(reason, longest), rejected)
    return GroundResult(
        status="partial" if warnings else "ok",
        warnings=tuple(warnings),
        usage=usage,
        finish_reason=reason,
        raw="\n".join(item.answer.raw for item in located),
        objects=tuple(objects),
        rejected=rejected,
        caption=parsed[0].text if as_caption else None,
        grounding=caption_spans(parsed[0], size) if as_caption else (),
    )


def caption_spans(grounded: Grounded, size: tuple[int, int]) -> tuple[Span, ...]:
    """The caption's words that have boxes, one entry for each box."""
    return tuple(
        Span(region.span, grounded.text[slice(*region.span)], to_pixels(region.box, *size))
        for region in grounded.regions
        if region.span is not None
    )


def _object(number: int, query: str | None, region: Region, size: tuple[int, int]) -> FoundObject:
    label = region.label or query or "object"
    x1, y1, x2, y2 = (int(value) if value.is_integer() else value for value in region.box)
    return FoundObject(number, query, label, to_pixels(region.box, *size), (x1, y1, x2, y2))


def _warnings(end: str | None, rejected: tuple[RejectedBox, ...]) -> list[str]:
    warnings = [end] if end is not None else []
    if rejected:
        first = rejected[0]
        more = f" and {len(rejected) - 1} more" if len(rejected) > 1 else ""
        warnings.append(f"rejected {first.text!r}: {first.reason}{more}")
    return warnings
