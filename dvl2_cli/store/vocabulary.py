"""Whether a tokenizer and a processor configuration fit the model beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dvl2_cli.store.architecture import Architecture
from dvl2_cli.store.fields import Fields, read_json
from dvl2_cli.store.problems import Problem, fetch_again

# Added at load time, in this order, where a tokenizer file lacks them.
SPECIAL_TOKENS = (
    "<｜▁pad▁｜>",
    "<image>",
    "<|ref|>",
    "<|/ref|>",
    "<|det|>",
    "<|/det|>",
    "<|grounding|>",
    "<|User|>",
    "<|Assistant|>",
)


def check_tokenizer(path: Path, vocab_size: int, problems: list[Problem]) -> None:
    """Check that every token of ``tokenizer.json``, added ones included, has an embedding."""
    content = read_json(path, problems)
    if content is None:
        return
    remedy = fetch_again(path)
    model, added = content.get("model"), content.get("added_tokens") or []
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(vocabulary, dict) or not isinstance(added, list) or not vocabulary:
        problems.append(Problem(f"{path} has no vocabulary: not a byte-level BPE", remedy))
        return
    ids = {token["content"]: token["id"] for token in added if _is_token(token)}
    known = {**vocabulary, **ids}
    numbers = [number for number in known.values() if type(number) is int]
    if len(numbers) != len(known) or len(ids) != len(added):
        problems.append(Problem(f"{path} has malformed tokens", remedy))
        return
    missing = sum(token not in known for token in SPECIAL_TOKENS)
    highest = max(numbers) + missing
    if highest >= vocab_size:
        problems.append(
            Problem(
                f"{path} needs token id {highest} but language_config.vocab_size is {vocab_size}",
                "This tokenizer belongs to another model. " + remedy,
            )
        )


def check_processor(path: Path, parts: Architecture, problems: list[Problem]) -> None:
    """Check that ``processor_config.json`` cuts tiles as the model expects them."""
    content = read_json(path, problems)
    if content is None:
        return
    fields = Fields(path, "", problems, content)
    _must_equal(fields, "patch_size", parts.vision.patch_size)
    _must_equal(fields, "downsample_ratio", parts.projector.downsample_ratio)
    resolutions = content.get("candidate_resolutions")
    size = parts.vision.image_size
    if not _are_resolutions(resolutions, size):
        fields.fault(f"needs candidate_resolutions: [width, height] pairs, multiples of {size}")


def _must_equal(fields: Fields, key: str, wanted: int) -> None:
    value = fields.integer(key, wanted)
    if value != wanted:
        fields.fault(f"has {key} = {value}, but config.json says {wanted}")


def _are_resolutions(value: Any, tile: int) -> bool:
    if not isinstance(value, list) or not value:
        return False
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
    sides = [side for pair in pairs for side in pair]
    return len(pairs) == len(value) and all(
        type(side) is int and side > 0 and side % tile == 0 for side in sides
    )


def _is_token(token: Any) -> bool:
    return isinstance(token, dict) and type(token.get("content")) is str and "id" in token
