"""Results of a run: checkpoints in the released format, and adapters."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2Config, DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.engine.local.adapter import CONFIG, merge_adapter
from dvl2_cli.errors import ModelError
from dvl2_cli.finetuning.state import NETWORK
from dvl2_cli.finetuning.whole_folder import write_folder
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.policy import Policy, read_policy, write_policy

if TYPE_CHECKING:
    from peft import PeftModel

MODEL, ADAPTER, MERGED = "model", "adapter", "merged"
_PREFIX = "model."


def trained_weights(state: Path) -> dict[str, Tensor]:
    """The model's weights in a training state, by the model's own names; heads are left out."""
    weights = load_file(state / NETWORK)
    return {k.removeprefix(_PREFIX): v for k, v in weights.items() if k.startswith(_PREFIX)}


def write_model(
    folder: Path,
    config: DeepseekVLV2Config,
    processor: DeepseekVLV2Processor,
    weights: dict[str, Tensor],
    dtype: torch.dtype,
    policy: Policy,
) -> None:
    """Write a checkpoint in the released format with weights of ``dtype``.

    Raises:
        OutputError: the folder cannot be written.
    """
    # Only names, shapes and the dtype of it are asked for: the run's own model may be wrapped,
    # sharded, or of another dtype.
    with torch.device("meta"):
        skeleton = DeepseekVLV2ForCausalLM(copy.deepcopy(config)).to(dtype)  # type: ignore[arg-type]
    cast = {name: value.to(dtype) for name, value in weights.items()}

    def write(part: Path) -> None:
        skeleton.save_pretrained(part, state_dict=cast)
        processor.save_pretrained(part)
        write_policy(part, policy)

    write_folder(folder, write)


def write_adapter(folder: Path, adapted: PeftModel, weights: dict[str, Tensor]) -> None:
    """Write an adapter that peft and ``--adapter`` load.

    Raises:
        OutputError: the folder cannot be written.
    """
    named = {f"base_model.model.{name}": value for name, value in weights.items()}

    def write(part: Path) -> None:
        adapted.save_pretrained(str(part), state_dict=named, save_embedding_layers=False)
        (part / "README.md").unlink(missing_ok=True)  # a model card with blanks to fill in

    write_folder(folder, write)


def base_of(adapter: Path) -> Path:
    """The folder of the model that ``adapter`` was trained on.

    Raises:
        ModelError: there is no adapter, or its model is gone.
    """
    config = adapter / CONFIG
    if not config.is_file():
        raise ModelError(f"{adapter} holds no LoRA adapter", "Train one with --lora RANK.")
    named = (read_json(config, []) or {}).get("base_model_name_or_path")
    base = Path(str(named))
    if not base.is_dir():
        raise ModelError(
            f"the model that {adapter} was trained on is not at {base}",
            f"Write where it is into base_model_name_or_path of {config}.",
        )
    return base


def write_merged(folder: Path, base: Path, adapter: Path) -> None:
    """Write ``base`` with ``adapter`` added to its weights, in the base's dtype.

    Raises:
        ModelError: the adapter does not fit the base.
        OutputError: the folder cannot be written.
    """
    model = DeepseekVLV2ForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True)
    model = merge_adapter(model, adapter)
    processor = DeepseekVLV2Processor.from_pretrained(base, local_files_only=True)

    def write(part: Path) -> None:
        model.save_pretrained(part)
        processor.save_pretrained(part)
        write_policy(part, read_policy(base))

    write_folder(folder, write)
