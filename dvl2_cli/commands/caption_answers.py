"""Captions from the model, or from the journal of a killed run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dvl2_cli.commands.run import Run, is_fatal
from dvl2_cli.engine.events import Finished
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.journal import Journal
from dvl2_cli.results import CaptionResult, Model, Source, Span, UsageTotals
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.tasks.grounding.locating import caption_spans
from dvl2_cli.tasks.grounding.parse import parse_grounding

_ENDS = {
    "loop": "the answer ran into a repetition and was stopped",
    "length": "the answer met the token limit; --max-tokens raises it",
    "cancelled": "the answer was stopped by Ctrl-C",
}


class Answerer:
    """Turns pictures into rows without files."""

    def __init__(self, run: Run, wording: Wording, journal: Journal | None) -> None:
        self._run = run
        self._wording = wording
        self._journal = journal

    def results(
        self, pictures: Sequence[Picture], on_text: Callable[[str], None] | None = None
    ) -> list[CaptionResult]:
        """A row for each picture; those not in the journal are asked together."""
        kept = [self._journal.answer(_key(item)) if self._journal else None for item in pictures]
        missing = [item for item, answer in zip(pictures, kept, strict=True) if answer is None]
        fresh = iter(self._ask(missing, on_text))
        results = []
        for picture, answer in zip(pictures, kept, strict=True):
            outcome = next(fresh) if answer is None else answer
            if isinstance(outcome, Dvl2Error):
                source = Source.of(picture)
                results.append(CaptionResult.failure(outcome, source, self._run.model))
            else:
                results.append(self._result(picture, outcome))
        return results

    def _ask(
        self, pictures: Sequence[Picture], on_text: Callable[[str], None] | None
    ) -> list[dict[str, Any] | Dvl2Error]:
        """What the journal keeps of each answer, or why there is none."""
        if len(pictures) == 1:
            return [self._ask_one(pictures[0], on_text)]
        try:
            answers = self._run.ask_together([self._request(item) for item in pictures])
        except Dvl2Error as error:
            if is_fatal(error):
                raise
            # One picture may be at fault: the others must not pay for it.
            return [self._ask_one(item, None) for item in pictures]
        return [self._keep(*pair) for pair in zip(pictures, answers, strict=True)]

    def _ask_one(
        self, picture: Picture, on_text: Callable[[str], None] | None
    ) -> dict[str, Any] | Dvl2Error:
        try:
            answer = self._run.ask(self._request(picture), on_text)
        except Dvl2Error as error:
            if is_fatal(error):
                raise
            return error
        # A journal that cannot be written ends the run: no picture is at fault.
        return self._keep(picture, answer)

    def _request(self, picture: Picture) -> Any:
        return self._run.request(
            self._wording.question, [picture.image], constraint=self._wording.constraint()
        )

    def _keep(self, picture: Picture, answer: Finished) -> dict[str, Any]:
        usage = UsageTotals().plus(answer.usage)
        info = self._run.engine.info
        kept = {
            "text": answer.text,
            "raw": answer.raw,
            "finish_reason": answer.finish_reason,
            "usage": [
                usage.prompt_tokens,
                usage.image_tokens,
                usage.completion_tokens,
                usage.seconds,
            ],
            "doubts": self._run.doubts(answer),
            "model": [info.id, info.revision, info.quant],
        }
        if self._journal is not None and answer.finish_reason != "cancelled":
            self._journal.keep(_key(picture), kept)
        return kept

    def _result(self, picture: Picture, kept: dict[str, Any]) -> CaptionResult:
        size = (picture.width, picture.height)
        spans: tuple[Span, ...] = ()
        if self._wording.grounded:
            grounded = parse_grounding(kept["raw"])
            spans = caption_spans(grounded, size)
            caption = self._wording.with_words(grounded.text)
        else:
            caption = self._wording.caption(kept["text"])
        final = self._wording.written(caption, picture.path, size)
        shift = max(final.find(caption), 0)
        warnings = [*picture.notes, *kept["doubts"]]
        reason = kept["finish_reason"]
        warnings += [_ENDS[reason]] if reason in _ENDS else []
        unwanted = self._wording.unwanted(caption)
        warnings += [f"the caption has {', '.join(unwanted)} all the same"] if unwanted else []
        return CaptionResult(
            status="ok" if reason == "stop" and not unwanted else "partial",
            warnings=tuple(warnings),
            source=Source.of(picture),
            model=Model(*kept["model"]),
            usage=UsageTotals(*kept["usage"]),
            finish_reason=reason,
            raw=kept["raw"],
            caption=final,
            length=self._wording.length,
            grounding=tuple(
                Span((item.span[0] + shift, item.span[1] + shift), item.text, item.box)
                for item in spans
            ),
        )


def _key(picture: Picture) -> str:
    return f"{picture.sha256}:{picture.page or 0}"
