"""What prompt-lookup decoding gains on text that repeats itself, as read tables do.

The text is given, as if the model had written it: drafts are right or wrong as they would be
for a model that reads this table. So the gain does not depend on what the weights say.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from dvl2_cli.engine.local.decoder import OneSequence
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.local.lookup import PromptLookupDecoder

_ITEMS = (
    ("Bolt M4", 120, "0.08"), ("Bolt M6", 80, "0.11"), ("Nut M4", 120, "0.04"),
    ("Nut M6", 80, "0.05"), ("Washer 4", 240, "0.02"), ("Washer 6", 160, "0.03"),
)  # fmt: skip
_MAX_TOKENS = 256
_ROUNDS = 2


def table_text() -> str:
    """A parts list as HTML, the way ``dvl2 ocr`` reads tables."""
    rows = (
        f"<tr><td>{name}</td><td>{count}</td><td>{price}</td></tr>\n"
        for name, count, price in _ITEMS
    )
    return "<table>\n<tr><th>Item</th><th>Qty</th><th>Price</th></tr>\n" + "".join(rows)


def lookup_gain(loaded: LoadedModel) -> float:
    """How many times faster the table is written with drafts than token by token."""
    ids = loaded.processor.tokens.encode(table_text())[:_MAX_TOKENS]
    plain, drafted = float("inf"), float("inf")
    sequence = OneSequence(loaded.decoder, loaded.context_length)
    for _ in range(_ROUNDS):
        plain = min(plain, _plain_seconds(sequence, ids))
        drafted = min(drafted, _drafted_seconds(sequence, ids, loaded.context_length))
    return plain / drafted


def _plain_seconds(decoder: OneSequence, ids: Sequence[int]) -> float:
    decoder.crop(0)
    start = time.perf_counter()
    for token in ids:
        decoder.verify([token])
    return time.perf_counter() - start


def _drafted_seconds(decoder: OneSequence, ids: Sequence[int], context_length: int) -> float:
    decoder.crop(0)
    reader = PromptLookupDecoder(decoder, [], context_length)
    start = time.perf_counter()
    for token in ids:
        reader.step(token)
    seconds = time.perf_counter() - start
    reader.close()
    return seconds
