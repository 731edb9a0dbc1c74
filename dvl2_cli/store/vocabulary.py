"""Whether a tokenizer and a processor configuration fit the model beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepseek_vl_v2.format.architecture import Architecture
from deepseek_vl_v2.format.processor_fields import ProcessorFields
from deepseek_vl_v2.format.rules import read_table
from deepseek_vl_v2.format.template import BOS, EOS, SPECIAL_TOKENS
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.problems import Problem, fetch_again

_LONGEST_PATTERN = 10_000  # characters
_ENDLESS = re.compile(r"[*+]|\{\d*,\}")


def check_tokenizer(path: Path, vocab_size: int, problems: list[Problem]) -> None:
    """Check that every token of ``tokenizer.json``, added ones included, has an embedding."""
    content = read_json(path, problems)
    if content is None:
        return
    remedy = fetch_again(path)
    model, added = content.get("model"), content.get("added_tokens") or []
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(model, dict) or not isinstance(vocabulary, dict) or not vocabulary:
        problems.append(Problem(f"{path} has no vocabulary: not a byte-level BPE", remedy))
        return
    if not isinstance(added, list):
        problems.append(Problem(f"{path} has no vocabulary: not a byte-level BPE", remedy))
        return
    ids = {token["content"]: token["id"] for token in added if _is_token(token)}
    known = {**vocabulary, **ids}
    numbers = [number for number in known.values() if type(number) is int and number >= 0]
    if len(numbers) != len(known) or len(ids) != len(added):
        problems.append(Problem(f"{path} has malformed tokens", remedy))
        return
    absent = [token for token in (BOS, EOS) if token not in known]
    if absent:
        problems.append(Problem(f"{path} has no token {absent[0]}", remedy))
        return
    fault = _merge_fault(model, vocabulary) or _parts_fault(content)
    if fault is not None:
        problems.append(Problem(f"{path} {fault}", remedy))
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


def _merge_fault(model: dict[str, Any], vocabulary: dict[str, Any]) -> str | None:
    """What is wrong with the merges, in words after "FILE"."""
    merges = model.get("merges", [])
    if model.get("type", "BPE") != "BPE" or not isinstance(merges, list):
        return "is not a byte-level BPE"
    for merge in merges:
        pair = merge.split(" ") if isinstance(merge, str) else merge
        if (
            not isinstance(pair, list)
            or len(pair) != 2
            or not all(isinstance(part, str) and part in vocabulary for part in pair)
            or pair[0] + pair[1] not in vocabulary
        ):
            return f"has a merge of unknown tokens: {json.dumps(merge)[:60]}"
    return None


def _parts_fault(content: dict[str, Any]) -> str | None:
    """What is wrong with the parts around the vocabulary, in words after "FILE"."""
    for pattern in _patterns(content):
        if len(pattern) > _LONGEST_PATTERN or _repeats_group(pattern):
            return "has a pattern that may take forever: it repeats a group without an end"
    from tokenizers import Tokenizer

    # The vocabulary is checked above, and takes long to read.
    model = {**content["model"], "vocab": {}, "merges": [], "unk_token": None}
    try:
        Tokenizer.from_str(json.dumps({**content, "model": model}))
    except Exception as error:  # the library raises no narrower class
        return f"is not understood: {error}"
    return None


def _repeats_group(pattern: str) -> bool:
    """Whether a group repeats without an end: that can take exponentially many steps."""
    depth = place = 0  # depth of sets of letters, in which ) is one of them
    while place < len(pattern):
        letter = pattern[place]
        if letter == "\\":
            place += 1
        elif letter == "[":
            depth += 1
        elif letter == "]":
            depth = max(depth - 1, 0)
        elif letter == ")" and not depth and _ENDLESS.match(pattern, place + 1):
            return True
        place += 1
    return False


def _patterns(part: Any) -> Iterator[str]:
    """Every regular expression in ``part`` of a tokenizer."""
    waiting = [value for key, value in part.items() if key not in ("model", "added_tokens")]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if isinstance(found.get("Regex"), str):
                yield found["Regex"]
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


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
