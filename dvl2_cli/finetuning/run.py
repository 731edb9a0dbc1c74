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

from dvl2_cli.errors import OutputError, UsageError
from dvl2_cli.finetuning.adapter import add_adapter
from dvl2_cli.finetuning.base import Base
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.conversations import CheckedData, ConversationBatches, check_data
from dvl2_cli.finetuning.export import ADAPTER, MODEL, trained_weights, write_adapter, write_model
from dvl2_cli.finetuning.held_out import HeldOut
from dvl2_cli.finetuning.identity import FILE, check_identity, identity_of
from dvl2_cli.finetuning.loop import RunContext, Trainer
from dvl2_cli.finetuning.network import TrainingNetwork
from dvl2_cli.finetuning.optimizer import freeze
from dvl2_cli.finetuning.plan import BatchPlan
from dvl2_cli.finetuning.progress import LOG, TrainingProgress
from dvl2_cli.finetuning.recipe import Recipe, Stage
from dvl2_cli.finetuning.state import TrainingPosition, load_network, read_place, states
from dvl2_cli.packages import install_command
from dvl2_cli.writers.collisions import check_output_folder, check_outputs

if TYPE_CHECKING:
    from peft import PeftModel

    from deepseek_vl_v2 import DeepseekVLV2ForCausalLM

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


class Run:
    """One run of a recipe; nano_lab's pretraining overrides its parts.

    Attributes:
        network_type: makes losses of batches.
        trainer_type: runs the stages.
    """

    network_type: type[TrainingNetwork] = TrainingNetwork
    trainer_type: type[Trainer] = Trainer

    def __init__(self, recipe: Recipe, options: RunOptions) -> None:
        """Prepare torch and the processes; nothing is read or written yet."""
        prepare_torch(options.threads)
        self.recipe, self.options = recipe, options
        self.accelerator = make_accelerator(options.dtype)
        self.main = self.accelerator.is_main_process
        self.progress = TrainingProgress(quiet=options.quiet or not self.main)
        self.drawing = PlotDrawing(self.draw, self.progress, wanted=self.main)

    def execute(self) -> Path:
        """Train to the end of the recipe, going on from the last state in ``options.out``.

        Returns:
            The folder of the result: a checkpoint, or a LoRA adapter.

        Raises:
            UsageError: the data has bad rows (all of them named on stderr), or the folder holds
                another run.
            ModelError: the model is missing or not what it should be.
            OutputError: the folder cannot be written.
        """
        out = self.options.out
        set_seed(self.recipe.seed)
        self.base = self.open_base()
        self.data = read_data(self.recipe, self.base, _to_stderr if self.main else _to_nobody)
        self.recipe = with_steps_of_epochs(self.recipe, self.data)
        check_processes(self.recipe, self.accelerator.num_processes)
        self._check_collisions()
        make_folder(out)
        check_identity(out, identity_of(self.recipe, list(self.data.values())), write=self.main)
        model, self.adapted = self._load_model()
        network = self.network_type(model, self.recipe, sharded=self.sharded)
        self.network_made(network)
        place = resume(self.recipe, network, out, self.progress)
        setting = RunContext(
            out,
            self.batches,
            self.options.workers,
            self.progress,
            held_out=self._held_out(),
            on_checkpoint=lambda network, place: self.drawing.draw_if_due(),
            on_stage_end=self._export,
        )
        self.trainer_type(self.recipe, network, self.accelerator, setting).run(place)
        self.accelerator.end_training()
        return self.result

    @property
    def result(self) -> Path:
        """The folder that the run writes in the end."""
        return self.options.out / (MODEL if self.adapted is None else ADAPTER)

    @property
    def sharded(self) -> bool:
        """Whether FSDP shares out the weights."""
        return bool(self.accelerator.distributed_type == DistributedType.FSDP)

    def open_base(self) -> Base:
        """The model that the run starts from, checked."""
        return Base(self.recipe)

    def batches(self, stage: Stage) -> Dataset[MicroBatch]:
        """The micro-batches of ``stage``."""
        data = self.data[stage.data]
        return ConversationBatches(data, stage, self.recipe.seed, self.base.processor)

    def network_made(self, network: TrainingNetwork) -> None:
        """A hook before the last state is loaded into ``network``."""

    def model_written(self, network: TrainingNetwork, stage: Stage) -> None:
        """A hook after the checkpoint of ``stage`` is written to ``result``; ``main`` only."""

    def draw(self) -> None:
        """Draw the plots of the run.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from dvl2_cli.finetuning.plots import draw

        draw(self.options.out)

    def _check_collisions(self) -> None:
        """Refuse a folder whose files or result would replace the model or the data.

        Raises:
            OutputError: naming what would be replaced.
        """
        out, data = self.options.out, self.data.values()
        files = [item.path for item in data] + [
            picture for item in data for row in item.rows for picture in row.images
        ]
        base = [self.base.folder] if self.base.folder is not None else []
        check_outputs([out / FILE, out / LOG], files)
        for name in (MODEL, ADAPTER):
            check_output_folder(out / name, base + files)

    def _load_model(self) -> tuple[DeepseekVLV2ForCausalLM, PeftModel | None]:
        lora, folder = self.recipe.lora, self.base.folder
        half = lora is not None and self.options.dtype == "bf16"
        model = self.base.load(torch.bfloat16 if half else torch.float32)
        if lora is None or folder is None:
            return model, None
        torch.manual_seed(self.recipe.seed)
        adapted = add_adapter(model, lora, folder)
        freeze(model, self.recipe.stages[0])
        return model, adapted

    def _held_out(self) -> HeldOut | None:
        name = self.recipe.held_out
        return HeldOut(self.data[name], self.base.processor) if name else None

    def _export(self, network: TrainingNetwork, place: TrainingPosition) -> None:
        if not self.main:
            return
        weights = trained_weights(states(self.options.out)[-1])
        if self.adapted is None:
            config, processor = network.model.config, self.base.processor
            dtype, policy = self.base.dtype, self.base.policy
            write_model(self.result, config, processor, weights, dtype, policy)
            self.model_written(network, self.recipe.stages[place.stage])
        else:
            write_adapter(self.result, self.adapted, weights)
        self.drawing.draw()


def train(recipe: Recipe, options: RunOptions) -> Path:
    """Fine-tune by ``recipe``; see ``Run.execute``."""
    return Run(recipe, options).execute()


def prepare_torch(threads: int | None) -> None:
    """Set what holds for the whole process."""
    # Sequences and experts come in many lengths; all of their compiled kernels are kept.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "8192")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if threads:
        torch.set_num_threads(threads)


def make_accelerator(dtype: str) -> Accelerator:
    """The processes and devices of the run, computing in ``dtype`` (bf16 or fp32)."""
    return Accelerator(
        cpu=not torch.accelerator.is_available(),
        mixed_precision="bf16" if dtype == "bf16" else "no",
        # Each process counts its own experts' load; see Trainer._balance.
        kwargs_handlers=[
            DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        ],
    )


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
            steps = BatchPlan(data[stage.data].extents, stage, recipe.seed).steps(stage.epochs)
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


def resume(
    recipe: Recipe, network: TrainingNetwork, out: Path, progress: TrainingProgress
) -> TrainingPosition:
    """Load the last state of ``out``, if there is one; return where to go on.

    Raises:
        UsageError: the folder holds the run of another recipe.
    """
    found = states(out)
    if not found:
        return TrainingPosition(recipe.name, 0, 0, 0, 0.0)
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


class PlotDrawing:
    """Draws the plots of a run now and then; without matplotlib it says so, once."""

    def __init__(
        self, draw: Callable[[], None], progress: TrainingProgress, *, wanted: bool
    ) -> None:
        self._draw, self.progress, self.wanted = draw, progress, wanted
        self._last = time.monotonic()

    def draw_if_due(self) -> None:
        """Draw if the last drawing is long ago."""
        if time.monotonic() - self._last > DRAW_EVERY:
            self.draw()

    def draw(self) -> None:
        """Draw now."""
        if not self.wanted:
            return
        try:
            self._draw()
        except ImportError:
            self.wanted = False
            how = install_command("train")
            self.progress.note(f"no plots: matplotlib is not installed ({how})")
        self._last = time.monotonic()


def _to_stderr(text: str) -> None:
    from dvl2_cli.ui.control import printable

    print(f"dvl2: {printable(text)}", file=sys.stderr)


def _to_nobody(text: str) -> None:
    """Other processes have found the same."""
