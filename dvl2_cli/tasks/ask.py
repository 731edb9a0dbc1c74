"""``ask``: a conversation's next answer, "how many" counted by boxes where the policy says so."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.engine.events import Event, Finished
from dvl2_cli.engine.request import Request
from dvl2_cli.tasks.context import OnText, TaskContext
from dvl2_cli.tasks.grounding.counting import asks_how_many, count_by_boxes


def ask(context: TaskContext, request: Request, on_text: OnText | None = None) -> Finished:
    """The answer to ``request``; ``on_text`` sees it as it comes, a counted one whole."""
    if not counts(context, request):
        return context.answer(request, on_text)
    answer = count_by_boxes(request, context.answer)
    if on_text is not None:
        on_text(answer.text)
    return answer


def ask_events(context: TaskContext, request: Request) -> Iterator[Event]:
    """The same as events: one Started, Tokens, one Finished. A counted answer has no tokens of
    its own, and is a Finished alone.
    """
    if counts(context, request):
        yield count_by_boxes(request, context.answer)
    else:
        yield from context.engine.stream(request, context.cancel)


def counts(context: TaskContext, request: Request) -> bool:
    """Whether the answer to ``request`` is found by counting boxes."""
    return context.policy.count_by_boxes and asks_how_many(request)
