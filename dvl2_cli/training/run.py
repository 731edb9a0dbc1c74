"""One ``dvl2 train``: put model, data and loop together, resume, and write the result."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, set_seed
from torch.utils.data import Dataset

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.training.batch import MicroBatch
from dvl2_cli.training.fresh import fresh_nano
from dvl2_cli.training.loop import Setting, Trainer
from dvl2_cli.training.network import TrainingNetwork
from dvl2_cli.training.progress import Progress
from dvl2_cli.training.recipe import Recipe, Stage
from dvl2_cli.training.rendered import RenderedBatches
from dvl2_cli.training.state import Place, load_network, read_place, states

FRESH_NANO = "fresh-nano"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to a recipe."""

    out: Path
    workers: int = 1
    threads: int | None = None
    dtype: str = "bf16"
    quiet: bool = False


def train(recipe: Recipe, options: RunOptions) -> None:
    """Train to the end of the recipe, going on from the last state in ``options.out``."""
    # Sequences and experts come in many lengths; all of their compiled kernels are kept.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
    if options.threads:
        torch.set_num_threads(options.threads)
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="bf16" if options.dtype == "bf16" else "no",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    check_processes(recipe, accelerator.num_processes)
    set_seed(recipe.seed)
    progress = Progress(quiet=options.quiet or not accelerator.is_main_process)
    model, processor = load_base(recipe)
    network = TrainingNetwork(model, recipe)
    place = resume(recipe, network, options.out, progress)

    def batches(stage: Stage) -> Dataset[MicroBatch]:
        return RenderedBatches(stage, recipe.seed, processor)

    def export(network: TrainingNetwork, place: Place) -> None:
        if accelerator.is_main_process:
            write_model(options.out / "model", network.model, processor)

    setting = Setting(options.out, batches, options.workers, progress, on_stage_end=export)
    Trainer(recipe, network, accelerator, setting).run(place)


def check_processes(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that cannot share the micro-batches of a step.

    Raises:
        UsageError: naming the stage.
    """
    for stage in recipe.stages:
        if stage.micro_batches % processes:
            raise UsageError(
                f"stage {stage.name} has {stage.micro_batches} micro-batches a step, "
                f"which {processes} processes cannot share evenly",
                hint="Change micro_batches or the number of processes.",
            )


def load_base(recipe: Recipe) -> tuple[DeepseekVLV2ForCausalLM, DeepseekVLV2Processor]:
    """The model that the recipe starts from, with fp32 weights, and its processor."""
    if recipe.base == FRESH_NANO:
        return fresh_nano(recipe.seed)
    model = DeepseekVLV2ForCausalLM.from_pretrained(recipe.base, dtype=torch.float32)
    return model, DeepseekVLV2Processor.from_pretrained(recipe.base)


def resume(recipe: Recipe, network: TrainingNetwork, out: Path, progress: Progress) -> Place:
    """Load the last state of ``out``, if there is one; return where to go on.

    Raises:
        UsageError: the folder holds the run of another recipe.
        OutputError: the folder cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {out}: {error.strerror}") from error
    found = states(out)
    if not found:
        return Place(recipe.name, 0, 0, 0, 0.0)
    place = read_place(found[-1])
    if place.recipe != recipe.name or place.stage >= len(recipe.stages):
        raise UsageError(
            f"{out} holds a run of recipe {place.recipe!r}", hint="Give another -o folder."
        )
    load_network(found[-1], network)
    progress.note(f"going on from {found[-1].name}: stage {place.stage + 1}, step {place.step}")
    return place


def write_model(
    folder: Path, model: DeepseekVLV2ForCausalLM, processor: DeepseekVLV2Processor
) -> None:
    """Write a checkpoint in the released format, whole or not at all."""
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    processor.save_pretrained(temporary)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def started() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()


def with_steps(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with every stage cut to ``steps`` steps."""
    stages = tuple(replace(s, steps=min(steps, s.steps)) for s in recipe.stages)
    return replace(recipe, stages=stages)
