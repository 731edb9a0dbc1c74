"""Checking a model folder before any weight of it is read.

Everything comes from JSON files and safetensors headers, so a 27B folder is checked in
well under a second and without torch. What passes here loads: the keys, shapes and dtypes
are exactly those that the model's modules ask for.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deepseek_vl_v2.format.architecture import Architecture, read_architecture
from deepseek_vl_v2.format.config_fields import MODEL_TYPE
from deepseek_vl_v2.format.tensors import UNUSED_PREFIX, Shape, expected_tensors
from dvl2_cli.errors import ModelError
from dvl2_cli.store.headers import TensorHeader
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.keys import check_plain, check_quantised
from dvl2_cli.store.policy import FILE_NAME as POLICY
from dvl2_cli.store.policy import PLAIN_POLICY, Policy, check_policy
from dvl2_cli.store.problems import Problem, as_error, fetch_again
from dvl2_cli.store.shards import INDEX, read_tensors
from dvl2_cli.store.vocabulary import check_processor, check_tokenizer

# What is said of these where they are read.
_CHECKED = ("config.json", "tokenizer.json", "processor_config.json", POLICY, INDEX)


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """A model folder that passed: what it is, without its weights.

    Attributes:
        folder: where it lies.
        config: ``config.json`` as written.
        architecture: its dimensions.
        tensors: every stored tensor by key.
        quant_method: ``quantization_config.quant_method``, or None for plain weights.
        policy: what it wants done around its answers.
    """

    folder: Path
    config: dict[str, Any]
    architecture: Architecture
    tensors: dict[str, TensorHeader]
    quant_method: str | None
    policy: Policy = PLAIN_POLICY

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors together."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def parameters(self) -> int:
        """Parameters of the model that the config describes, without the unused pooling head."""
        shapes = expected_tensors(self.architecture)
        return sum(
            _elements(shape) for key, shape in shapes.items() if not key.startswith(UNUSED_PREFIX)
        )

    @property
    def active_parameters(self) -> int:
        """Parameters that take part in one token: routed experts not chosen are left out."""
        decoder = self.architecture.decoder
        idle = (decoder.experts or 0) - decoder.experts_per_token
        per_expert = 3 * decoder.hidden_size * decoder.expert_width
        return self.parameters - decoder.moe_layers * idle * per_expert


def check_checkpoint(folder: Path) -> CheckpointInfo:
    """Check ``folder`` and say what it holds.

    Raises:
        ModelError: naming the first faulty file or key, why, the remedy, and how many
            further faults there are.
    """
    info, problems = examine(folder)
    if problems or info is None:
        raise as_error(problems, folder)
    return info


def examine(folder: Path) -> tuple[CheckpointInfo | None, list[Problem]]:
    """Check ``folder``; every fault found, and the contents as far as they could be read.

    The contents are None only together with at least one fault.

    Raises:
        ModelError: there is no such folder.
    """
    if not folder.is_dir():
        what = "is a file, not a model folder" if folder.exists() else "does not exist"
        raise ModelError(
            f"the model folder {folder} {what}", "Give a folder that holds a config.json."
        )
    problems: list[Problem] = []
    config_path = folder / "config.json"
    config = read_json(config_path, problems)
    if config is None or not _is_ours(config_path, config, problems):
        return None, problems
    parts, faults = read_architecture(config)
    problems += [Problem(f"{config_path} {fault}", fetch_again(config_path)) for fault in faults]
    if problems:
        return None, problems
    quant_method = _quant_method(config_path, config, problems)
    check_tokenizer(folder / "tokenizer.json", parts.decoder.vocab_size, problems)
    check_processor(folder / "processor_config.json", parts, problems)
    policy = check_policy(folder / POLICY, problems)
    _check_companions(folder, problems)
    tensors = read_tensors(folder, problems)
    if tensors is None:
        return None, problems
    if quant_method is None:
        check_plain(folder, tensors, parts, problems)
    else:
        check_quantised(folder, quant_method, tensors, parts, problems)
    return CheckpointInfo(folder, config, parts, tensors, quant_method, policy), problems


def _check_companions(folder: Path, problems: list[Problem]) -> None:
    """Files beside the weights that loaders read: a device or a pipe would never end."""
    for path in sorted(folder.iterdir()):
        read = path.suffix in (".json", ".safetensors", ".md") or path.stem.startswith("LICEN")
        endless = path.exists() and not path.is_file() and not path.is_dir()
        if read and endless and path.name not in _CHECKED:
            problems.append(Problem(f"{path} is no regular file", fetch_again(path)))


def _is_ours(path: Path, config: dict[str, Any], problems: list[Problem]) -> bool:
    model_type = config.get("model_type")
    if model_type == MODEL_TYPE:
        return True
    problems.append(
        Problem(
            f"{path} has model_type {model_type!r}, not {MODEL_TYPE!r}",
            "dvl2 runs DeepSeek-VL2 only: dvl2 pull deepseek-ai/deepseek-vl2-tiny",
        )
    )
    return False


def _quant_method(path: Path, config: dict[str, Any], problems: list[Problem]) -> str | None:
    table = config.get("quantization_config")
    if table is None:
        return None
    method = table.get("quant_method") if isinstance(table, dict) else None
    if isinstance(method, str) and method:
        return method
    problems.append(
        Problem(
            f"{path} has a quantization_config without quant_method",
            "Convert the original again: dvl2 quantize MODEL",
        )
    )
    return "unknown"


def _elements(shape: Shape) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
