"""The one interface between commands and whatever answers: here, a daemon, or a server."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dvl2_cli.engine.events import Event, Finished, PromptCost
from dvl2_cli.engine.request import Request
from dvl2_cli.store.policy import PLAIN_POLICY, Policy
from dvl2_cli.units import Count


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """Which model answers.

    ``reason`` says how it was chosen (flag, setting, bundled...); ``policy`` what it wants done
    around its answers; ``parallel`` how many requests at once it answers sooner than one by one.
    """

    id: str
    revision: str | None
    quant: str
    device: str
    context_length: Count
    is_nano: bool
    reason: str
    policy: Policy = PLAIN_POLICY
    parallel: Count = 1

    def describe(self) -> str:
        """Which model it is, why, and where it runs, in one line."""
        return f"{self.id} ({self.reason}), {self.quant} on {self.device}"


class Engine(Protocol):
    """Answers requests; where ``info.parallel`` is above 1, of several threads at once."""

    @property
    def info(self) -> ModelInfo:
        """The model behind this engine."""

    def cost(self, request: Request) -> PromptCost:
        """Count the prompt's tokens without running the model.

        Raises:
            ContextOverflowError: never; compare ``prompt_tokens`` with ``context_length``.
        """

    def stream(self, request: Request, cancel: threading.Event | None = None) -> Iterator[Event]:
        """Answer: one Started, Tokens, one Finished. Setting ``cancel`` ends it soon, with
        finish_reason "cancelled".

        Raises:
            ContextOverflowError: the prompt leaves no room for an answer.
            OutOfMemoryError: the device ran out of memory.
        """

    def answer_batch(self, requests: Sequence[Request]) -> list[Finished]:
        """Answer several requests together; each answer equals the one it would get alone."""

    def close(self) -> None:
        """Free the model's memory."""
