"""LoRA adapters on plain weights."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.errors import ModelError
from dvl2_cli.plain_file import check_plain_file

CONFIG = "adapter_config.json"


def merge_adapter(model: DeepseekVLV2ForCausalLM, adapter: Path) -> DeepseekVLV2ForCausalLM:
    """``model`` with the adapter in the folder ``adapter`` added to its weights, in their dtype.

    Raises:
        ModelError: there is no adapter, or it was made for another model.
        ImportError: peft is not installed.
    """
    _check_files(adapter)
    try:
        with quiet_peft():
            from peft import PeftModel

            laid: Any = PeftModel.from_pretrained(model, str(adapter))
            merged: DeepseekVLV2ForCausalLM = laid.merge_and_unload()
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(
            f"the adapter in {adapter} does not fit the model: {reason}",
            f"Give the model that it was trained on; its {CONFIG} names it.",
        ) from error
    return merged


def _check_files(adapter: Path) -> None:
    """Refuse pipes and devices: peft would wait for them, or read them without end."""
    hint = "Give the folder that dvl2 train wrote."
    try:
        if not (adapter / CONFIG).is_file():
            raise ModelError(f"{adapter} holds no LoRA adapter (no {CONFIG})", hint)
        paths = list(adapter.iterdir())
    except OSError as error:
        raise ModelError(f"the adapter {adapter} cannot be read: {error.strerror}", hint) from error
    for path in paths:
        try:
            if not path.is_dir():
                check_plain_file(path)
        except OSError as error:
            raise ModelError(
                f"{path} cannot be read: {error.strerror}", "Take it out of the adapter's folder."
            ) from error


@contextlib.contextmanager
def quiet_peft() -> Iterator[None]:
    """Without what peft says on stderr that no user can act on."""
    # Importing it imports bitsandbytes, which misses kernels that nothing here needs.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # It asks transformers for an attribute under its old name.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing", FutureWarning)
        yield
