"""The module that a step runs: the model and the auxiliary heads, from a batch to losses.

One ``forward`` from the root, so that DDP and FSDP see every parameter they wrap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.layout import TILE_CELLS
from dvl2_cli.finetuning.recipe import Recipe, Stage
from nano_lab.pretraining.cell_heads import FIRST_LAYERS, CellHeads, cell_count
from nano_lab.pretraining.dense_head import DenseHead, label_weight
from nano_lab.pretraining.guided_attention import ReadingHeads, check_finger, finger_loss, watch
from nano_lab.pretraining.heads import NEVER, PlaceHead, ThingHead, known_cells
from nano_lab.pretraining.window_attention import encode_windows, run_blocks, window_labels

# The losses, in the order in which a step's counts are kept.
KINDS = ("language", "dense", "thing", "place", "pointer", "cell", "tally")


@dataclass(slots=True)
class Losses:
    """Sums over a micro-batch, to be divided by the step's counts; ``balance`` is a mean
    and ``nothing`` zero, but a function of every trained weight.

    ``hits`` counts what was right for every kind: answer tokens, glyphs, covered cells,
    pointers.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    hits: dict[str, Tensor] = field(default_factory=dict)
    balance: Tensor | None = None
    nothing: Tensor | None = None


class TrainingNetwork(nn.Module):
    """``model`` is the checkpoint being trained; heads exist for the losses of the recipe.

    Raises:
        UsageError: pictures are laid out as in no release, or it cannot be taught to point.
    """

    def __init__(self, model: DeepseekVLV2ForCausalLM, recipe: Recipe) -> None:
        super().__init__()
        if model.config.global_view_pos != "head":
            raise UsageError("only models that see the thumbnail first can be trained")
        self.model = model
        width = model.config.projector.n_embed

        def wanted(name: str) -> bool:
            return any(getattr(stage, f"{name}_loss") for stage in recipe.stages)

        self.head = DenseHead(width) if wanted("dense") else None
        self.thing_head = ThingHead(width) if wanted("thing") else None
        self.place_head = PlaceHead(width) if wanted("place") else None
        self.cell_heads = None
        if wanted("cell"):
            self.cell_heads = CellHeads(model.config.language.hidden_size)
        self.reading_heads: ReadingHeads | None = None
        if wanted("pointer"):
            check_finger(model)
            language = model.config.language
            self.reading_heads = ReadingHeads(language.hidden_size, language.vocab_size)

    def forward(self, batch: MicroBatch, stage: Stage) -> Losses:
        """Losses of a micro-batch."""
        losses = Losses()
        tokens = None
        if len(batch.tiles):
            tiles = (batch.tiles.float() / 127.5 - 1).to(self.model.vision.pos_embed.dtype)
            windows = stage.tower == "windows"
            tokens = encode_windows(*self._eyes(), tiles) if windows else self._encode(tiles)
            self._cells(losses, tokens, batch, stage)
        if len(batch.ids):
            self._language(losses, batch, tokens, stage)
        if torch.is_grad_enabled():
            # Every weight that other processes wait for takes part in the loss, those that the
            # batch leaves out with zero.
            waited = self.waited_for() if distributed.is_initialized() else self.waited_for()[:1]
            nothing = [0.0 * p.flatten()[0].float() for p in waited]
            losses.nothing = torch.stack(nothing).sum() if nothing else None
        return losses

    def waited_for(self) -> list[nn.Parameter]:
        """Parameters whose gradients other processes wait for, whatever a batch makes use of."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def _eyes(self) -> tuple[Any, Any]:
        return self.model.vision, self.model.projector

    def _encode(self, tiles: Tensor) -> Tensor:
        tower, projector = self._eyes()
        frozen = not any(p.requires_grad for p in tower.parameters())
        if frozen or tiles.device.type != "cpu":
            return cast(Tensor, projector(tower(tiles)))
        # Going back, written-out attention is faster on CPUs; see windows.
        return cast(
            Tensor, projector(run_blocks(tower, tower.patch_embed(tiles) + tower.pos_embed))
        )

    def _cells(self, losses: Losses, tokens: Tensor, batch: MicroBatch, stage: Stage) -> None:
        """The dense losses of the visual tokens."""
        windows = stage.tower == "windows"
        if stage.place_loss and self.place_head is not None:
            places = _places(batch.tiles, windows)
            loss, hits = self.place_head.loss(tokens, places)
            losses.sums["place"], losses.hits["place"] = loss, hits
        if batch.dense is not None and self.head is not None:
            loss, counts = self.head.loss(tokens, _cut(batch.dense, windows))
            losses.sums["dense"] = loss
            losses.hits |= {"dense": counts.right, "glyphs": counts.glyphs, "false": counts.false}
        if batch.things is not None and self.thing_head is not None:
            loss, hits = self.thing_head.loss(tokens, _cut(batch.things, windows), batch.unseen)
            losses.sums["thing"], losses.hits["thing"] = loss, hits

    def _language(
        self, losses: Losses, batch: MicroBatch, tokens: Tensor | None, stage: Stage
    ) -> None:
        model = self.model
        if self.reading_heads is not None:
            watch(model, wanted=batch.pointers is not None)
        out = model.language.model(
            inputs_embeds=self._embed(batch, tokens),
            position_ids=batch.positions,
            attention_mask=_mask(batch),
            use_cache=False,
            output_hidden_states=batch.pointers is not None or bool(stage.cell_loss),
        )
        learned = batch.labels[:, 1:] != -100
        # Every position, so that the product's shape recurs; see encode.LENGTH_STEP.
        logits = model.language.lm_head(out.last_hidden_state)[:, :-1]
        logits = _without(logits, batch.excluded)[learned].float()
        targets = batch.labels[:, 1:][learned]
        losses.sums["language"] = functional.cross_entropy(logits, targets, reduction="sum")
        losses.hits["language"] = (logits.detach().argmax(-1) == targets).sum()
        if batch.pointers is not None and self.reading_heads is not None:
            pointed = finger_loss(model, self.reading_heads, out.hidden_states, batch)
            losses.sums["pointer"], losses.hits["pointer"] = pointed.loss, pointed.right
            if pointed.tally is not None and pointed.told is not None:
                losses.sums["tally"], losses.hits["tally"] = pointed.tally, pointed.told
        if stage.cell_loss:
            self._shown(losses, batch, out.hidden_states[FIRST_LAYERS])
        if stage.balance_loss:
            losses.balance = model.language.model.balance_loss()

    def _shown(self, losses: Losses, batch: MicroBatch, states: Tensor) -> None:
        assert self.cell_heads is not None  # noqa: S101
        losses.sums["cell"] = self.cell_heads.loss(states, batch, self._image_id())

    def _image_id(self) -> int:
        return cast(int, self.model.config.image_token_id)

    def _embed(self, batch: MicroBatch, tokens: Tensor | None) -> Tensor:
        if tokens is None:
            return self.model.embed(batch.ids)
        ends = torch.stack([self.model.view_seperator, self.model.image_newline])
        # Separators are numbered -1 and -2: the last rows.
        table = torch.cat([tokens.flatten(0, 1), ends.to(tokens.dtype)])
        return self.model.embed(batch.ids, [table[batch.shown]])


def _without(logits: Tensor, excluded: Tensor | None) -> Tensor:
    """``logits`` [B, T, V], out of reach for tokens that must not be told apart; see MicroBatch."""
    if excluded is None:
        return logits
    rows, positions, tokens = excluded.unbind(-1)
    return logits.index_put((rows, positions - 1, tokens), logits.new_tensor(NEVER))


def label_counts(batch: MicroBatch, stage: Stage) -> list[float]:
    """What the sums of KINDS are to be divided by, for one micro-batch."""
    windows = stage.tower == "windows"
    dense = things = 0.0
    if batch.dense is not None and stage.dense_loss:
        dense = label_weight(_cut(batch.dense, windows))
    if batch.things is not None:
        things = known_cells(_cut(batch.things, windows))
    pointers = 0 if batch.pointers is None else int((batch.pointers[:, 1:] >= 0).sum())
    cells = cell_count(batch) if stage.cell_loss else 0
    places = _places(batch.tiles, windows).numel() if stage.place_loss else 0
    counts = 0 if batch.tallies is None or not stage.tally_loss else len(batch.tallies.rows)
    return [batch.answer_tokens, dense, things, places, pointers, cells, counts]


def _places(tiles: Tensor, windows: bool) -> Tensor:
    """The cell 0..195 of every visual token: int64 [N, 196], or of windows."""
    return _cut(torch.arange(TILE_CELLS, device=tiles.device).repeat(len(tiles), 1), windows)


def _cut(labels: Tensor, windows: bool) -> Tensor:
    return window_labels(labels) if windows else labels


def _mask(batch: MicroBatch) -> Tensor | None:
    if batch.branches is not None:
        return branched_mask(batch.branches)
    return None if batch.segments is None else packed_mask(batch.segments)


def branched_mask(branches: Tensor) -> Tensor:
    """[B, 1, T, T], True where a token may look: back, at its own branch and what all share."""
    same = branches[:, :, None] == branches[:, None, :]
    return ((same | (branches == 0)[:, None, :]) & _past(branches))[:, None]


def packed_mask(segments: Tensor) -> Tensor:
    """[B, 1, T, T], True where a token may look: back, and within its own sample.

    Padding looks at itself, so that no row of the softmax is empty.
    """
    same = segments[:, :, None] == segments[:, None, :]
    return (same & _past(segments))[:, None]


def _past(rows: Tensor) -> Tensor:
    length = rows.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=rows.device).tril()
