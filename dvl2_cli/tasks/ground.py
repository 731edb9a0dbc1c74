"""``ground``: what phrases name in a picture, as boxes in its pixels."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvl2_cli import prompts
from dvl2_cli.engine.request import Constraint, Request, RequestDefaults
from dvl2_cli.errors import UsageError
from dvl2_cli.inputs.picture import Picture
from dvl2_cli.prompts import Question
from dvl2_cli.results import GroundResult, Source
from dvl2_cli.results.confidence import confidence_warnings
from dvl2_cli.tasks.context import TaskContext, question_about
from dvl2_cli.tasks.grounding.grammar import caption_grammar, objects_grammar
from dvl2_cli.tasks.grounding.locating import Located, ground_result
from dvl2_cli.tasks.grounding.refine import refine_boxes

if TYPE_CHECKING:
    from PIL.Image import Image

    from dvl2_cli.engine.events import Finished

MAX_TOKENS = 1024
# What the example's object is called where no phrase names it.
UNNAMED = "an object"


@dataclass(frozen=True, slots=True)
class GroundOptions:
    """What to find.

    Attributes:
        phrases: each is asked for by itself.
        every: ask for every instance.
        caption: describe the picture, with boxes, instead.
        example: a picture in which what to find is marked.
        constrain: keep the model to well-formed boxes.
    """

    phrases: tuple[str, ...] = ()
    every: bool = False
    caption: bool = False
    example: Picture | None = None
    constrain: bool = True

    def check(self, *, has_example: bool = False) -> None:
        """Refuse combinations that make no question.

        Raises:
            UsageError: so combined.
        """
        has_example = has_example or self.example is not None
        if self.caption and (self.phrases or self.every or has_example):
            raise UsageError(
                "--caption describes the whole picture", "Leave out phrases, --all and --example."
            )
        if not self.caption and not self.phrases and not has_example:
            raise UsageError(
                "nothing to find", 'Name it, as in: dvl2 ground photo.jpg "red car", or --caption.'
            )
        if any(not phrase.strip() for phrase in self.phrases):
            raise UsageError("a phrase is empty", "Name what to find.")


def ground(context: TaskContext, picture: Picture, options: GroundOptions) -> GroundResult:
    """Find what ``options`` name in ``picture``.

    Raises:
        Dvl2Error: a question cannot be answered.
    """
    located = []
    warnings = list(picture.notes)
    requests = ground_requests(context.defaults, picture, options)
    for phrase, request in requests:
        answer = context.answer(request)
        located.append(_refined(context, picture, options, Located(phrase, answer)))
        named = phrase if len(options.phrases) > 1 else None
        found = confidence_warnings(answer.confidence, named)
        warnings += [text for text in found if text not in warnings]
        if context.cancelled:
            break
    result = ground_result(
        located,
        (picture.width, picture.height),
        as_caption=options.caption,
        complete=len(located) == len(requests),
    )
    return dataclasses.replace(
        result,
        source=Source.of(picture),
        model=context.model,
        warnings=(*warnings, *result.warnings),
    )


def ground_requests(
    defaults: RequestDefaults, picture: Picture, options: GroundOptions
) -> list[tuple[str | None, Request]]:
    """What is asked at first: each phrase (None for a caption) and its request."""
    example = [] if options.example is None else [options.example.image]
    images = [*example, picture.image]
    constraint = _constraint(options)
    return [
        (phrase, question_about(defaults, question, images, constraint))
        for phrase, question in _questions(options)
    ]


def located_in(context: TaskContext, image: Image, phrase: str, answer: Finished) -> Located:
    """``answer`` about ``phrase``, its boxes refined where the policy says so."""
    prediction = Located(phrase, answer)
    if not context.policy.refine_boxes:
        return prediction
    return refine_boxes(prediction, image, lambda part, about: _locate(context, part, about, None))


def _refined(
    context: TaskContext, picture: Picture, options: GroundOptions, prediction: Located
) -> Located:
    if options.example is not None or not context.policy.refine_boxes:
        return prediction
    constraint = _constraint(options)
    return refine_boxes(
        prediction, picture.image, lambda part, about: _locate(context, part, about, constraint)
    )


def _locate(
    context: TaskContext, image: Image, phrase: str, constraint: Constraint | None
) -> Finished:
    question = prompts.locate.about(phrase)
    return context.answer(question_about(context.defaults, question, [image], constraint))


def _questions(options: GroundOptions) -> list[tuple[str | None, Question]]:
    """(phrase, question) for each request."""
    if options.caption:
        return [(None, Question(prompts.PRESETS["grounded-caption"]))]
    if options.example is not None:
        phrases = options.phrases or (UNNAMED,)
        return [(phrase, prompts.locate_like.about(phrase)) for phrase in phrases]
    question = prompts.locate_all if options.every else prompts.locate
    return [(phrase, question.about(phrase)) for phrase in options.phrases]


def _constraint(options: GroundOptions) -> Constraint | None:
    """The grammar of the answers."""
    if not options.constrain:
        return None
    free = options.caption or options.example is not None
    return Constraint("lark", caption_grammar() if free else objects_grammar())
