"""Whether a tokenizer and a processor configuration fit the model beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.processor_fields import ProcessorFields
from deepseek_vl_v2.format.rules import read_table
from deepseek_vl_v2.format.template import SPECIAL_TOKENS
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.problems import Problem, fetch_again


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
    faults: list[str] = []
    fields, _ = read_table(ProcessorFields, "", content, faults)
    if not faults:
        faults = fields.faults(parts)
    problems += [Problem(f"{path} {fault}", fetch_again(path)) for fault in faults]


def _is_token(token: Any) -> bool:
    return isinstance(token, dict) and type(token.get("content")) is str and "id" in token
