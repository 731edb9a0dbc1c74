"""One answer as it is written: text so far, why it ended, how sure the model was."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from tokenizers.decoders import DecodeStream

from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.events import FinishReason, LineConfidence
from dvl2_cli.engine.local.loop_guard import repeated_tail

# Tokens between two looks for a loop: a look reads the last tokens, and need not be eager.
_LOOP_STRIDE = 8


class Answer:
    """Collects tokens and turns them into text piece by piece.

    Args:
        processor: of the checkpoint.
        stop: strings that end the answer and are cut from it.
        loop_guard: whether endless repetition ends it.
        max_lines: after how many lines of text it ends; None for any number.
    """

    def __init__(
        self,
        processor: PromptEncoder,
        stop: Sequence[str],
        *,
        loop_guard: bool,
        max_lines: int | None = None,
    ) -> None:
        self._processor = processor
        self._backend = processor.backend
        self._stream = DecodeStream(ids=None, skip_special_tokens=False)
        self._stop = [text for text in stop if text]
        self._loop_guard = loop_guard
        self._max_lines = max_lines
        self._log_probabilities: list[float] = []
        self._ends: list[int] = []
        self.ids: list[int] = []
        self.raw = ""

    def add(self, token_id: int, logprob: float) -> str:
        """Append a token; the text that became complete with it, special tokens included."""
        self.ids.append(token_id)
        self._log_probabilities.append(logprob)
        piece = self._stream.step(self._backend, token_id) or ""
        if "\n" in piece:
            self._ends.append(len(self.ids))
        self.raw += piece
        return piece

    def ended(self) -> FinishReason | None:
        """Why the answer should end here, or None."""
        for text in self._stop:
            if text in self.raw:
                self.raw = self.raw[: self.raw.index(text)]
                return "stop"
        if self._max_lines is not None and self._lines_written() >= self._max_lines:
            self.raw = self.raw.rstrip("\n")
            return "stop"
        if self._loop_guard and len(self.ids) % _LOOP_STRIDE == 0 and self._cut_loop():
            return "loop"
        return None

    @property
    def text(self) -> str:
        """The answer without special tokens."""
        skipped = self._processor.special_tokens
        text = self.raw
        for token in skipped:
            text = text.replace(token, "")
        return text.strip()

    @property
    def mean_probability(self) -> float | None:
        """Geometric mean of the chosen tokens' probabilities; None for an empty answer."""
        return math.exp(fmean(self._log_probabilities)) if self._log_probabilities else None

    @property
    def lines(self) -> tuple[LineConfidence, ...]:
        """How sure the model was of each line that says something."""
        found = []
        for first, last in zip([0, *self._ends], [*self._ends, len(self.ids)], strict=True):
            logs = self._log_probabilities[first:last]
            if self._processor.decode(self.ids[first:last]).strip():
                found.append(LineConfidence(math.exp(fmean(logs)), math.exp(min(logs))))
        return tuple(found)

    def _lines_written(self) -> int:
        """Lines that say something and have ended."""
        if not self.raw.endswith("\n"):
            return 0  # no line ended with the latest token
        return sum(1 for line in self.raw.splitlines() if line.strip())

    def _cut_loop(self) -> bool:
        surplus = repeated_tail(self.ids)
        if surplus:
            self.ids = self.ids[:-surplus]
            self._ends = [end for end in self._ends if end <= len(self.ids)]
            self._log_probabilities = self._log_probabilities[: len(self.ids)]
            self.raw = self._processor.decode(self.ids)
        return surplus > 0
