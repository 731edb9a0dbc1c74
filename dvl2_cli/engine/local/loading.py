"""From a checked folder to a model that answers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.mapped_loading import load_plain
from deepseek_vl_v2.native_decoder import NativeDecoder, UnsupportedModelError
from deepseek_vl_v2.prompting import PromptEncoder, PromptProcessor
from deepseek_vl_v2.quantized_format import QUANT_METHOD
from dvl2_cli.engine.local.decoder import Decoder, TorchDecoder
from dvl2_cli.engine.local.kernel_choice import check_kernels
from dvl2_cli.engine.local.memory import reported_out_of_memory
from dvl2_cli.engine.local.memory_cap import check_fits, hold_cap
from dvl2_cli.engine.local.offloading import place
from dvl2_cli.engine.local.statistics import FeatureStatistics, load_statistics
from dvl2_cli.errors import Dvl2Error, ModelError, UsageError
from dvl2_cli.packages import install_command
from dvl2_cli.planning.choose import check_packed
from dvl2_cli.planning.hardware import Hardware, probe
from dvl2_cli.planning.weights import upcast_types
from dvl2_cli.sizes import parse_size
from dvl2_cli.store.checkpoint import CheckpointInfo, check_checkpoint
from dvl2_cli.store.policy import PLAIN_POLICY, Policy

_LONGEST_REASON = 300  # characters


@dataclass(slots=True)
class LoadedModel:
    """A model with what belongs to it; ``cache_bytes`` is what caches may take in all."""

    model: ImageTextModel
    processor: PromptEncoder
    decoder: Decoder[Any]
    statistics: FeatureStatistics | None
    policy: Policy = PLAIN_POLICY
    cache_bytes: int = 2 << 30

    @property
    def context_length(self) -> int:
        """Most positions that the model was made for."""
        return self.model.config.language.max_position_embeddings


def load_model(
    source: Path | CheckpointInfo,
    *,
    device: str = "cpu",
    dtype: torch.dtype | None = None,
    adapter: str | None = None,
    threads: int | None = None,
    max_memory: str | None = None,
    hardware: Hardware | None = None,
) -> LoadedModel:
    """Load a checkpoint folder, released or quantised.

    Args:
        source: a folder, which is checked before any weight is read, or one that was checked.
        device: "cpu", "cuda", "cuda:1" or "mps".
        dtype: of the weights; None takes the file's own, which keeps them memory-mapped, but
            widens what the CPU does not multiply to float32 (``planning.weights.upcast_types``).
        adapter: folder of a LoRA adapter to lay over the weights.
        threads: CPU threads; None for torch's choice.
        max_memory: hard cap on resident memory, as "8GB".
        hardware: the machine as it was found before; None looks at it.

    Raises:
        ModelError: see ``check_checkpoint``.
        OutOfMemoryError: the weights do not fit.
    """
    info = check_checkpoint(source) if isinstance(source, Path) else source
    folder = info.folder
    check_kernels()
    hardware = hardware or probe()
    plan = check_fits(info, device, max_memory, hardware)
    cap = None if max_memory is None else parse_size(max_memory)
    types = upcast_types(info, device, hardware, cap)
    # An adapter's sum is rounded as in a merged checkpoint, and only then held as float32.
    late = adapter is not None and "BF16" in types and dtype is None
    wide = torch.float32 if types and not late else None
    if threads is not None:
        torch.set_num_threads(threads)
    with reported_out_of_memory(), _reported_model_errors(folder / "tokenizer.json"):
        processor = PromptProcessor(folder)
    with reported_out_of_memory(), _reported_model_errors(folder):
        model = _load_weights(info, device=device, dtype=dtype or wide, adapter=adapter)
        model.config.image_token_id = processor.tokens.image
        if late:
            torch.nn.Module.to(model, torch.float32)
        if info.quant_method is None:
            # On a CPU the rest is mapped from its file.
            share = 1.0 if device == "cpu" else plan.resident_experts
            place(model, torch.device(device), share)
    if max_memory is not None and device == "cpu":
        hold_cap(model, max_memory)
    decoder = _decoder_for(model, device)
    statistics = load_statistics(folder)
    return LoadedModel(model, processor, decoder, statistics, info.policy, plan.cache_room)


def _load_weights(
    info: CheckpointInfo, *, device: str, dtype: torch.dtype | None, adapter: str | None
) -> ImageTextModel:
    if adapter is not None and info.quant_method is not None:
        raise UsageError(
            "an adapter is laid over plain weights, and this copy is quantised",
            "Use --quant none, or merge it with dvl2 train RUN --merge and quantise the result.",
        )
    if info.quant_method == QUANT_METHOD:
        check_packed(info.folder, device)
        return load_plain(info.folder)
    if adapter is None and info.quant_method is None:
        return load_plain(info.folder, dtype)
    # peft and bitsandbytes know models of transformers alone.
    from dvl2_cli.engine.local.pretrained import load_pretrained

    return load_pretrained(info, device=device, dtype=dtype, adapter=adapter)


def _decoder_for(model: ImageTextModel, device: str) -> Decoder[Any]:
    if device == "cpu":
        # Models that the kernels do not cover, and machines without them, decode in torch.
        with contextlib.suppress(UnsupportedModelError):
            return NativeDecoder(model)
    return TorchDecoder(model)


@contextlib.contextmanager
def _reported_model_errors(path: Path) -> Iterator[None]:
    """Turn whatever a loader raises into one line that names ``path``."""
    try:
        yield
    except (Dvl2Error, MemoryError, torch.OutOfMemoryError):
        raise
    except ImportError as error:
        raise ModelError(
            f"the model in {path} needs a package that is not installed: {error.name or error}",
            f"Install it: {install_command('bnb,train')}",
        ) from error
    except RuntimeError as error:
        if "not enough memory" in str(error):
            raise
        raise _not_loaded(path, error) from error
    except Exception as error:
        raise _not_loaded(path, error) from error


def _not_loaded(path: Path, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
    return ModelError(
        f"{path} cannot be loaded: {reason}",
        "Fetch it again with dvl2 pull, or check the folder.",
    )
