"""Answers that follow a grammar, by llguidance's token masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from deepseek_vl_v2.prompting import PromptEncoder
from dvl2_cli.engine.request import Constraint
from dvl2_cli.errors import UsageError

# Free white space lets a small model write nothing else until its tokens run out.
_COMPACT_JSON = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class GrammarTokens:
    """llguidance's view of a tokenizer; made once per model, because it reads the vocabulary."""

    def __init__(self, processor: PromptEncoder, vocabulary: int) -> None:
        import llguidance

        # What llguidance.hf does, without importing transformers.
        self.tokens: Any = llguidance.LLTokenizer(
            processor.backend.to_str(), n_vocab=vocabulary, eos_token=processor.tokens.eos
        )


class GrammarMask:
    """Follows an answer through a grammar and forbids tokens that would leave it.

    Raises:
        UsageError: the grammar or schema is not understood.
    """

    def __init__(self, constraint: Constraint, tokens: GrammarTokens) -> None:
        import llguidance
        import llguidance.numpy

        self._kit: Any = llguidance.numpy
        self._matcher: Any = llguidance.LLMatcher(tokens.tokens, _grammar(constraint))
        if self._matcher.is_error():
            raise UsageError(f"the answer's grammar is not understood: {self._matcher.get_error()}")
        self._mask: Any = self._kit.allocate_token_bitmask(1, tokens.tokens.vocab_size)

    def apply(self, logits: Tensor) -> Tensor:
        """A copy of [V] logits with forbidden tokens at minus infinity."""
        self._kit.fill_next_token_bitmask(self._matcher, self._mask, 0)
        bits = np.unpackbits(self._mask[0].view(np.uint8), bitorder="little")[: len(logits)]
        forbidden = torch.from_numpy(bits == 0)
        return logits.masked_fill(forbidden.to(logits.device), -torch.inf)

    def accept(self, token_id: int) -> None:
        """Tell the grammar which token was chosen."""
        self._matcher.consume_token(token_id)

    @property
    def finished(self) -> bool:
        """Whether nothing more may follow."""
        return bool(self._matcher.is_stopped())


def _grammar(constraint: Constraint) -> str:
    import llguidance

    matcher: Any = llguidance.LLMatcher
    if constraint.kind == "json_schema":
        return str(matcher.grammar_from_json_schema(constraint.text, overrides=_COMPACT_JSON))
    if constraint.kind == "regex":
        return str(matcher.grammar_from_regex(constraint.text))
    return str(matcher.grammar_from_lark(constraint.text))
