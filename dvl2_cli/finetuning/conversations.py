"""Micro-batches of the user's own conversations: number m of a stage is always the same one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image
from torch.utils.data import Dataset

from deepseek_vl_v2 import DeepseekVLV2Processor
from deepseek_vl_v2.format.template import PromptError
from dvl2_cli.conversations.rows import ConversationRow, RowProblem, read_rows
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.encode import EncodedSample, collate, encode_sample, encode_text, pack
from dvl2_cli.finetuning.plan import BatchPlan, Extent
from dvl2_cli.finetuning.recipe import Stage
from dvl2_cli.inputs.load import load_pictures
from dvl2_cli.planning.print_size import print_zoom


@dataclass(frozen=True, slots=True)
class CheckedData:
    """Rows that can all be trained on, with their extents; ``digest`` is the file's sha256."""

    path: Path
    rows: tuple[ConversationRow, ...]
    extents: tuple[Extent, ...]
    digest: str


def check_data(
    path: Path, processor: DeepseekVLV2Processor, context: int, tell: Callable[[str], None]
) -> CheckedData:
    """Read a JSON Lines file and decode every picture of it once.

    Args:
        path: of the file.
        processor: the model's own, which says how many tokens a row has.
        context: the most tokens that a row may have.
        tell: is given one line for every bad row, with its number.

    Raises:
        InputError: the file cannot be read.
        UsageError: there are bad rows, or none at all.
    """
    rows, problems = read_rows(path, decode=True)
    extents = []
    for row in rows:
        try:
            extents.append(_extent(row, processor, context))
        except PromptError as error:
            problems.append(RowProblem(row.line, str(error)))
    if problems:
        for problem in sorted(problems, key=lambda problem: problem.line):
            tell(f"{path}, line {problem.line}: {problem.text}")
        bad = {problem.line for problem in problems}
        count = f"{len(bad)} of {len(bad | {row.line for row in rows})} rows"
        raise UsageError(f"{path}: {count} cannot be trained on, so nothing was trained")
    if not rows:
        raise UsageError(f"{path}: there is no row to train on")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return CheckedData(path, tuple(rows), tuple(extents), digest)


def _extent(row: ConversationRow, processor: DeepseekVLV2Processor, context: int) -> Extent:
    zooms = _zooms(processor, [_open(path) for path in row.images]) if processor.zoom else []
    grids, encoded = encode_text(processor, messages_of(row), row.sizes, zooms)
    length = len(encoded.ids)
    if length > context:
        raise PromptError(
            f"{length} tokens, and the model has room for {context}: split the conversation, or "
            "give fewer or smaller pictures"
        )
    # A picture of one tile equals its thumbnail, and is encoded once.
    tiles = [grid.columns * grid.rows for grid in grids]
    return Extent(length, sum(1 if count == 1 else 1 + count for count in tiles))


def messages_of(row: ConversationRow) -> list[dict[str, str]]:
    """The turns of ``row`` as the template takes them."""
    return [{"role": role, "content": content} for role, content in row.messages]


class ConversationBatches(Dataset[MicroBatch]):
    """``self[m]`` is micro-batch ``m`` of a stage; see ``BatchPlan`` for what it holds."""

    def __init__(
        self, data: CheckedData, stage: Stage, seed: int, processor: DeepseekVLV2Processor
    ) -> None:
        self.rows, self.stage, self.processor = data.rows, stage, processor
        self.plan = BatchPlan(data.extents, stage, seed)

    def __len__(self) -> int:
        return self.stage.steps * self.stage.micro_batches

    def __getitem__(self, number: int) -> MicroBatch:
        samples = [self._encode(self.rows[index]) for index in self.plan.group(number)]
        return self._join(samples)

    def _join(self, samples: Sequence[EncodedSample]) -> MicroBatch:
        if self.stage.packing == "pack":
            return pack([samples], self.processor.pad_id)
        return collate(samples, self.processor.pad_id)

    def _encode(self, row: ConversationRow) -> EncodedSample:
        images = [_open(path) for path in row.images]
        zooms = _zooms(self.processor, images)
        return encode_sample(self.processor, messages_of(row), images, zooms)


def _zooms(processor: DeepseekVLV2Processor, images: Sequence[Image]) -> list[float]:
    return [print_zoom(image) if processor.zoom else 1.0 for image in images]


def _open(path: Path) -> Image:
    return next(iter(load_pictures(path))).image
