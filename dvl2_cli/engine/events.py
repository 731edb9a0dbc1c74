"""What an engine reports while it answers; plain data, no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

FinishReason = Literal["stop", "length", "loop", "cancelled"]


@dataclass(frozen=True, slots=True)
class PromptCost:
    """What a request takes of the context before a token is generated.

    ``tiles`` has (columns, rows) of local tiles for every image; the thumbnail is one more.
    """

    prompt_tokens: int
    image_tokens: int
    context_length: int
    tiles: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt was accepted; ``reused_tokens`` of it were already in the KV cache."""

    cost: PromptCost
    reused_tokens: int


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer. ``text`` may be empty while a character is incomplete."""

    text: str
    token_id: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Usage:
    """Counts and seconds of one answer.

    ``running`` is how many answers, this one included, shared the model at most, and
    ``cache_bytes`` what was set aside for their caches; 1 and 0 where that is not known.
    """

    prompt_tokens: int
    image_tokens: int
    completion_tokens: int
    prefill_seconds: float
    decode_seconds: float
    running: int = 1
    cache_bytes: int = 0

    @property
    def seconds(self) -> float:
        """Prefill and decode together."""
        return self.prefill_seconds + self.decode_seconds


@dataclass(frozen=True, slots=True)
class LineConfidence:
    """How sure the model was of one line: the geometric mean of its tokens' probabilities, and
    the lowest of them, 0..1.
    """

    mean_probability: float
    lowest_probability: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """How sure the model was; None where it cannot be known (a remote server).

    ``mean_probability`` is the geometric mean of the chosen tokens' probabilities, 0..1.
    ``image_distance`` is the largest out-of-distribution distance of the images' features
    from those the model was trained on, in the checkpoint's own units; above
    ``image_threshold`` a picture is unlike anything seen in training. Below
    ``probability_threshold`` most answers of this checkpoint were wrong; None where that was not
    measured. ``lines`` has the lines of the answer that say something, in order; empty where
    that cannot be known.
    """

    mean_probability: float | None
    image_distance: float | None = None
    image_threshold: float | None = None
    probability_threshold: float | None = None
    lines: tuple[LineConfidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of an answer. ``raw`` keeps special tokens, ``text`` does not."""

    text: str
    raw: str
    finish_reason: FinishReason
    usage: Usage
    confidence: Confidence


Event = Started | Token | Finished


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person may want to know; a ``detail`` only who asks for every choice."""

    text: str
    detail: bool = False


Tell = Callable[[Notice], None]


def tell_nobody(notice: Notice) -> None:
    """For whoever runs without a person to tell."""
    del notice
