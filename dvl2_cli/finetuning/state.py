"""Training states on disk: whole or absent, safetensors and JSON only.

A state is a folder ``state-00001234`` with the network, the optimiser's moments and where
the run stood. It is written beside its final name and renamed, so a kill at any moment
leaves the state before it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from dvl2_cli.errors import ModelError
from dvl2_cli.files import output_error
from dvl2_cli.finetuning.whole_folder import sync

PREFIX = "state-"
NETWORK, MOMENTS, PLACE = "network.safetensors", "optimizer.safetensors", "place.json"
KEPT = 2


@dataclass(frozen=True, slots=True)
class TrainingPosition:
    """Where a run stands: ``step`` steps of stage ``stage`` are done, ``total`` of all."""

    recipe: str
    stage: int
    step: int
    total: int
    seconds: float


def save_state(
    folder: Path,
    network: nn.Module,
    optimizers: Sequence[torch.optim.Optimizer],
    place: TrainingPosition,
    *,
    main: bool,
    partial: bool = False,
) -> None:
    """Write a state; every process calls this, ``main`` writes.

    ``partial`` leaves out what is not trained: the base of an adapter.

    Raises:
        OutputError: the folder cannot be written.
    """
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=partial)
    weights, moments = get_state_dict(network, optimizers, options=options)
    if not main:
        return
    target = folder / f"{PREFIX}{place.total:08}"
    temporary = folder / f".{target.name}.part"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_weights(weights, temporary / NETWORK)
        save_file(_flat_moments(moments), temporary / MOMENTS)
        (temporary / PLACE).write_text(json.dumps(asdict(place)), encoding="utf-8")
        for part in temporary.iterdir():
            sync(part)
        shutil.rmtree(target, ignore_errors=True)
        temporary.rename(target)
        sync(folder)
    except OSError as error:
        raise output_error(target, error) from error
    for old in states(folder)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def save_weights(weights: Mapping[str, Any], path: Path) -> None:
    """Write whole weights to ``path``."""
    save_file({k: torch.as_tensor(v).contiguous() for k, v in weights.items()}, path)


def shared_like(parameter: Tensor, value: Tensor) -> Tensor:
    """``value`` as ``parameter`` lies: under FSDP every process keeps its share."""
    if isinstance(parameter, DTensor):
        return distribute_tensor(value, parameter.device_mesh, parameter.placements)
    return value


def states(folder: Path) -> list[Path]:
    """The whole states in ``folder``, oldest first."""
    return sorted(path for path in folder.glob(f"{PREFIX}*") if (path / PLACE).is_file())


def read_place(state: Path) -> TrainingPosition:
    """Where the run of ``state`` stood.

    Raises:
        ModelError: the file is damaged.
    """
    try:
        return TrainingPosition(**json.loads((state / PLACE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(
            f"{state / PLACE} is damaged: {error}", hint="Delete this state to go on from the last."
        ) from error


def load_network(state: Path, network: nn.Module, *, partial: bool = False) -> None:
    """Load weights by name; a head that the stage no longer has is skipped.

    ``partial``: only what is trained has to be there; see ``save_state``.

    Raises:
        ModelError: weights of the model itself are missing or have other shapes.
    """
    wanted = network.state_dict()
    fitting = fitting_weights(load_file(state / NETWORK), wanted)
    trained = {k for k, p in network.named_parameters() if p.requires_grad}
    needed = trained if partial else wanted
    missing = [k for k in needed if k not in fitting and k.startswith("model.")]
    if missing:
        raise ModelError(
            f"{state}: {len(missing)} weights do not fit the model, the first is {missing[0]}"
        )
    network.load_state_dict(fitting, strict=False)


def fitting_weights(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of ``weights`` whose name and shape are among the ``wanted``."""
    return {k: v for k, v in weights.items() if k in wanted and v.shape == wanted[k].shape}


def load_moments(
    state: Path, network: nn.Module, optimizers: Sequence[torch.optim.Optimizer]
) -> None:
    """Load the optimisers' moments by parameter name; one that never moved has none."""
    flat = load_file(state / MOMENTS)
    named = {name.removeprefix("module."): p for name, p in network.named_parameters()}
    owner = {p: o for o in optimizers for group in o.param_groups for p in group["params"]}
    for key, value in flat.items():
        name, entry = key.rsplit("/", 1)
        parameter = named[name]
        # The step counter of AdamW stays a float on the CPU or beside the parameter.
        value = value.to(parameter.device)
        if value.shape == parameter.shape:
            value = shared_like(parameter, value)
        owner[parameter].state[parameter][entry] = value


def _flat_moments(moments: Any) -> dict[str, Tensor]:
    return {
        f"{name}/{entry}": torch.as_tensor(value).contiguous()
        for name, entries in moments["state"].items()
        for entry, value in entries.items()
    }
