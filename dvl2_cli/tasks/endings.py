"""How an answer may end, in words: the one table for every task."""

from __future__ import annotations

from collections.abc import Sequence

from dvl2_cli.engine.events import Finished, FinishReason

# The worst end of several answers is the end of them all.
WORST_FIRST: tuple[FinishReason, ...] = ("cancelled", "loop", "length", "stop")


def ending(reason: FinishReason, tokens: int) -> str | None:
    """Why an answer of ``tokens`` tokens may not be whole; None where it is."""
    return {
        "loop": "the answer repeated itself and was stopped",
        "length": f"the answer was cut at {tokens} tokens; --max-tokens raises the limit",
        "cancelled": "stopped by Ctrl-C",
    }.get(reason)


def ending_of(answers: Sequence[Finished]) -> str | None:
    """The same of the answer among several that ended worst."""
    worst = min(answers, key=lambda answer: WORST_FIRST.index(answer.finish_reason))
    return ending(worst.finish_reason, worst.usage.completion_tokens)
