"""One ``dvl2 train``: put model, data and loop together, resume, and write the result."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import transformers
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, set_seed
from torch.utils.data import Dataset

from dvl2_cli.engine.local.statistics import save_statistics
from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.finetuning.adapter import add_adapter
from dvl2_cli.finetuning.base import Base
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.conversations import CheckedData, ConversationBatches, check_data
from dvl2_cli.finetuning.export import ADAPTER, MODEL, trained_weights, write_adapter, write_model
from dvl2_cli.finetuning.held_out import HeldOut
from dvl2_cli.finetuning.identity import check_identity, identity_of
from dvl2_cli.finetuning.loop import Setting, Trainer
from dvl2_cli.finetuning.network import TrainingNetwork
from dvl2_cli.finetuning.optimizer import freeze
from dvl2_cli.finetuning.plan import Plan
from dvl2_cli.finetuning.progress import Progress
from dvl2_cli.finetuning.recipe import Recipe, Stage
from dvl2_cli.finetuning.sharding import ShardedNetwork
from dvl2_cli.finetuning.state import Place, load_network, read_place, states
from nano_lab.pretraining.ood_statistics import feature_statistics
from nano_lab.pretraining.rendered_batches import RenderedBatches
from nano_lab.pretraining.training_heads import load_heads, save_heads

if TYPE_CHECKING:
    from peft import PeftModel

# Seconds between drawings of a run's plots, which take about one.
DRAW_EVERY = 300.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line adds to a recipe."""

    out: Path
    workers: int = 1
    threads: int | None = None
    dtype: str = "bf16"
    quiet: bool = False


def train(recipe: Recipe, options: RunOptions) -> Path:
    """Train to the end of the recipe, going on from the last state in ``options.out``.

    Returns:
        The folder of the result: a checkpoint, or a LoRA adapter.

    Raises:
        UsageError: the data has bad rows (all of them named on stderr), or the folder holds
            another run.
        ModelError: the model is missing or not what it should be.
        OutputError: the folder cannot be written.
    """
    # Sequences and experts come in many lengths; all of their compiled kernels are kept.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if options.threads:
        torch.set_num_threads(options.threads)
    accelerator = Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="bf16" if options.dtype == "bf16" else "no",
        # Each process counts its own experts' load; see Trainer._balance.
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        ],
    )
    main = accelerator.is_main_process
    progress = Progress(quiet=options.quiet or not main)
    set_seed(recipe.seed)
    base = Base(recipe)
    data = read_data(recipe, base, _to_stderr if main else _to_nobody)
    recipe = with_steps_of_epochs(recipe, data)
    check_processes(recipe, accelerator.num_processes)
    make_folder(options.out)
    check_identity(options.out, identity_of(recipe, list(data.values())), write=main)
    half = recipe.lora is not None and options.dtype == "bf16"
    model = base.load(torch.bfloat16 if half else torch.float32)
    adapted: PeftModel | None = None
    if recipe.lora is not None and base.folder is not None:
        torch.manual_seed(recipe.seed)
        adapted = add_adapter(model, recipe.lora, base.folder)
        freeze(model, recipe.stages[0])
    sharded = accelerator.distributed_type == DistributedType.FSDP
    network = (ShardedNetwork if sharded else TrainingNetwork)(model, recipe)
    if base.folder is not None:
        load_heads(base.folder, network)
    place = resume(recipe, network, options.out, progress)
    result = options.out / (MODEL if adapted is None else ADAPTER)

    def batches(stage: Stage) -> Dataset[MicroBatch]:
        if stage.data:
            return ConversationBatches(data[stage.data], stage, recipe.seed, base.processor)
        return RenderedBatches(stage, recipe.seed, base.processor)

    def export(network: TrainingNetwork, place: Place) -> None:
        if not main:
            return
        weights = trained_weights(states(options.out)[-1])
        if adapted is None:
            write_model(
                result, network.model.config, base.processor, weights, base.dtype, base.policy
            )
            save_heads(result, states(options.out)[-1])
            mix = recipe.stages[place.stage].mix
            if mix and not sharded:
                usual = feature_statistics(network.model, base.processor, mix, recipe.seed)
                save_statistics(result, usual)
        else:
            write_adapter(result, adapted, weights)
        drawing.draw()

    drawing = Drawing(options.out, progress, wanted=main)
    setting = Setting(
        options.out,
        batches,
        options.workers,
        progress,
        held_out=HeldOut(data[recipe.held_out], base.processor) if recipe.held_out else None,
        on_checkpoint=lambda network, place: drawing.draw_if_due(),
        on_stage_end=export,
    )
    Trainer(recipe, network, accelerator, setting).run(place)
    accelerator.end_training()
    return result


def read_data(recipe: Recipe, base: Base, tell: Callable[[str], None]) -> dict[str, CheckedData]:
    """Every dataset that the recipe names, checked; see ``check_data``."""
    names = [stage.data for stage in recipe.stages] + [recipe.held_out]
    return {
        name: check_data(Path(name), base.processor, base.context, tell)
        for name in dict.fromkeys(names)
        if name
    }


def with_steps_of_epochs(recipe: Recipe, data: dict[str, CheckedData]) -> Recipe:
    """The recipe with epochs counted out as steps, a tenth of them at most to warm up."""
    stages = []
    for stage in recipe.stages:
        if stage.epochs:
            steps = Plan(data[stage.data].extents, stage, recipe.seed).steps(stage.epochs)
            stage = replace(stage, steps=steps, warmup=min(stage.warmup, -(-steps // 10)))
        if recipe.lora is not None:
            # An adapter cannot hold the routers' correction.
            stage = replace(stage, bias_rate=0.0)
        stages.append(stage)
    return replace(recipe, stages=tuple(stages))


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
                hint="Change micro_batches (--micro-batches) or the number of processes.",
            )


def resume(recipe: Recipe, network: TrainingNetwork, out: Path, progress: Progress) -> Place:
    """Load the last state of ``out``, if there is one; return where to go on.

    Raises:
        UsageError: the folder holds the run of another recipe.
    """
    found = states(out)
    if not found:
        return Place(recipe.name, 0, 0, 0, 0.0)
    place = read_place(found[-1])
    if place.recipe != recipe.name or place.stage >= len(recipe.stages):
        raise UsageError(
            f"{out} holds a run of recipe {place.recipe!r}", hint="Give another -o folder."
        )
    load_network(found[-1], network, partial=recipe.lora is not None)
    progress.note(f"going on from {found[-1].name}: stage {place.stage + 1}, step {place.step}")
    return place


def make_folder(out: Path) -> None:
    """Make the folder of the run.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {out}: {error.strerror}") from error


class Drawing:
    """Draws the plots of a run now and then; without matplotlib it says so, once."""

    def __init__(self, out: Path, progress: Progress, *, wanted: bool) -> None:
        self.out, self.progress, self.wanted = out, progress, wanted
        self._last = time.monotonic()

    def draw_if_due(self) -> None:
        """Draw if the last drawing is long ago."""
        if time.monotonic() - self._last > DRAW_EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw now."""
        from dvl2_cli.finetuning.plots import draw

        if not self.wanted:
            return
        try:
            draw(self.out)
        except ImportError:
            self.wanted = False
            self.progress.note("no plots: matplotlib is not installed (pip install 'dvl2[train]')")
        self._last = time.monotonic()


def _to_stderr(text: str) -> None:
    from dvl2_cli.ui.control import printable

    print(f"dvl2: {printable(text)}", file=sys.stderr)


def _to_nobody(text: str) -> None:
    """Other processes have found the same."""
