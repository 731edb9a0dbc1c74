"""``caption``: descriptions of pictures, one by one or several together."""

from __future__ import annotations

from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.request import Request, RequestDefaults
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.results import CaptionResult, ModelRecord, Source, Span, UsageTotals
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.tasks.captioning.wording import Wording
from dvl2_cli.tasks.context import OnText, TaskContext, question_about
from dvl2_cli.tasks.endings import ending_of
from dvl2_cli.tasks.grounding.locating import caption_spans
from dvl2_cli.tasks.grounding.parse import parse_grounding

MAX_TOKENS = 512


def caption(
    context: TaskContext,
    picture: Picture,
    wording: Wording | None = None,
    on_text: OnText | None = None,
) -> CaptionResult:
    """Describe ``picture``; ``on_text`` sees the model's words as they come.

    Raises:
        Dvl2Error: the question cannot be answered.
    """
    wording = wording or Wording()
    answer = context.answer(caption_request(context.defaults, picture, wording), on_text)
    return _result(picture, wording, answer, context.model)


def caption_request(defaults: RequestDefaults, picture: Picture, wording: Wording) -> Request:
    """What is asked about ``picture``."""
    return question_about(defaults, wording.question, [picture.image], wording.constraint())


def _result(
    picture: Picture, wording: Wording, answer: Finished, model: ModelRecord
) -> CaptionResult:
    size = (picture.width, picture.height)
    spans: tuple[Span, ...] = ()
    if wording.grounded:
        grounded = parse_grounding(answer.raw)
        spans = caption_spans(grounded, size)
        text = wording.with_words(grounded.text)
    else:
        text = wording.caption(answer.text)
    final = wording.written(text, picture.path, size)
    shift = max(final.find(text), 0)
    end, unwanted = ending_of([answer]), wording.unwanted(text)
    warnings = [*picture.notes, *confidence_warnings(answer.confidence), *([end] if end else [])]
    warnings += [f"the caption has {', '.join(unwanted)} all the same"] if unwanted else []
    return CaptionResult(
        status="ok" if answer.finish_reason == "stop" and not unwanted else "partial",
        warnings=tuple(warnings),
        source=Source.of(picture),
        model=model,
        usage=UsageTotals().plus(answer.usage),
        finish_reason=answer.finish_reason,
        raw=answer.raw,
        caption=final,
        length=wording.length,
        grounding=tuple(
            Span((item.span[0] + shift, item.span[1] + shift), item.text, item.box)
            for item in spans
        ),
    )
