"""The network of pretraining: the language model's loss and auxiliary heads with theirs."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.layout import TILE_CELLS
from dvl2_cli.finetuning.network import Losses, States, TrainingNetwork, causal_mask
from dvl2_cli.finetuning.recipe import Recipe, Stage
from nano_lab.pretraining.batch import PretrainingBatch
from nano_lab.pretraining.block_sparse_attention import use_block_sparse_attention
from nano_lab.pretraining.cell_heads import FIRST_LAYERS, CellHeads, cell_count
from nano_lab.pretraining.dense_head import DenseHead, label_weight
from nano_lab.pretraining.guided_attention import GuidedAttention, check_heads
from nano_lab.pretraining.heads import MASKED_LOGIT, ObjectCellHead, PositionHead, known_cells
from nano_lab.pretraining.joined_experts import use_joined_experts
from nano_lab.pretraining.reading_heads import ReadingHeads
from nano_lab.pretraining.recipe import PretrainingStage, pretraining_stage
from nano_lab.pretraining.window_attention import encode_windows, run_blocks, window_labels

# The losses, in the order in which a step counts them.
KINDS = ("language", "glyph", "object", "position", "guided_attention", "cell", "counting")


class PretrainingNetwork(TrainingNetwork):
    """The language model's loss, and heads for the other losses of the recipe."""

    kinds = KINDS
    measured = ("language", "glyph", "position", "guided_attention", "counting", "false_glyph")

    def __init__(
        self, model: DeepseekVLV2ForCausalLM, recipe: Recipe, *, sharded: bool = False
    ) -> None:
        """Wrap ``model``.

        Raises:
            UsageError: pictures are laid out as in no release, or the decoder has no heads that
                the guided-attention loss could supervise.
        """
        super().__init__(model, recipe, sharded=sharded)
        use_block_sparse_attention(model)
        use_joined_experts(model)
        width, language = model.config.projector.n_embed, model.config.language

        def wanted(kind: str) -> bool:
            stages = [pretraining_stage(stage) for stage in recipe.stages]
            return any(_weight(stage, kind) for stage in stages)

        self.glyph_head = DenseHead(width) if wanted("glyph") else None
        self.object_head = ObjectCellHead(width) if wanted("object") else None
        self.position_head = PositionHead(width) if wanted("position") else None
        self.cell_heads = CellHeads(language.hidden_size) if wanted("cell") else None
        self.reading_heads: ReadingHeads | None = None
        self.guided_attention: GuidedAttention | None = None
        if wanted("guided_attention"):
            check_heads(model)
            self.reading_heads = ReadingHeads(language.hidden_size, language.vocab_size)
            self.guided_attention = GuidedAttention(model, self.reading_heads)

    def loss_weights(self, stage: Stage) -> dict[str, float]:
        """The weight of every kind of loss."""
        return {kind: _weight(pretraining_stage(stage), kind) for kind in KINDS}

    def label_counts(self, batch: MicroBatch, stage: Stage) -> dict[str, float]:
        """What the sum of every kind of loss is to be divided by, for one micro-batch."""
        counts = dict.fromkeys(KINDS, 0.0) | super().label_counts(batch, stage)
        if isinstance(batch, PretrainingBatch):
            counts |= _counts(batch, pretraining_stage(stage))
        return counts

    def encode_tiles(self, tiles: Tensor, stage: Stage) -> Tensor:
        """Visual tokens of tiles [N, 196, D], or of their windows [4 N, 49, D]."""
        tower, projector = self.model.vision, self.model.projector
        if _windowed(stage):
            return encode_windows(tower, projector, tiles)
        frozen = not any(p.requires_grad for p in tower.parameters())
        if frozen or tiles.device.type != "cpu":
            return super().encode_tiles(tiles, stage)
        # Written-out attention has a faster backward pass on CPUs; see window_attention.
        hidden = tower.patch_embed(tiles) + tower.pos_embed
        return cast(Tensor, projector(run_blocks(tower, hidden)))

    def attention_mask(self, batch: MicroBatch) -> Tensor | None:
        """As in fine-tuning, or of prefix branches."""
        if isinstance(batch, PretrainingBatch) and batch.branches is not None:
            return branched_mask(batch.branches)
        return super().attention_mask(batch)

    def mask_logits(self, logits: Tensor, batch: MicroBatch) -> Tensor:
        """Out of reach for tokens that are no negatives; see ``excluded_tokens``."""
        excluded = batch.excluded_tokens if isinstance(batch, PretrainingBatch) else None
        return mask_excluded(logits, excluded)

    def wants_hidden_states(self, batch: MicroBatch, stage: Stage) -> bool:
        """For the losses of the decoder's states; captures attention for the same passes."""
        if not isinstance(batch, PretrainingBatch):
            return False
        guided = batch.attention_targets is not None
        if self.guided_attention is not None:
            self.guided_attention.capture.enabled = guided
        return guided or bool(pretraining_stage(stage).cell_loss)

    def auxiliary_losses(
        self, losses: Losses, batch: MicroBatch, states: States, stage: Stage
    ) -> None:
        """Add the losses of the tower's tokens, of the decoder's, and of its attention."""
        if not isinstance(batch, PretrainingBatch):
            return
        if states.visual is not None:
            self._of_visual_tokens(losses, states.visual, batch, pretraining_stage(stage))
        if not states.hidden:
            return
        if batch.attention_targets is not None and self.guided_attention is not None:
            self.guided_attention.add_losses(losses, states.hidden, batch)
        if pretraining_stage(stage).cell_loss and self.cell_heads is not None:
            image_id = cast(int, self.model.config.image_token_id)
            shown = states.hidden[FIRST_LAYERS]
            losses.sums["cell"] = self.cell_heads.loss(shown, batch, image_id)

    def _of_visual_tokens(
        self, losses: Losses, visual: Tensor, batch: PretrainingBatch, stage: PretrainingStage
    ) -> None:
        windowed = _windowed(stage)
        if stage.position_loss and self.position_head is not None:
            places = _positions(batch.tiles, windowed)
            losses.sums["position"], right = self.position_head.loss(visual, places)
            losses.right["position"] = right, right.new_tensor(places.numel())
        if batch.glyph_labels is not None and stage.glyph_loss and self.glyph_head is not None:
            labels = _cut(batch.glyph_labels, windowed)
            losses.sums["glyph"], counts = self.glyph_head.loss(visual, labels)
            losses.right["glyph"] = counts.right, counts.glyphs
            losses.right["false_glyph"] = counts.false, counts.glyphs
        if batch.object_labels is not None and self.object_head is not None:
            labels = _cut(batch.object_labels, windowed)
            loss, _ = self.object_head.loss(visual, labels, batch.held_out_pairs)
            losses.sums["object"] = loss


def _weight(stage: PretrainingStage, kind: str) -> float:
    return float(getattr(stage, f"{kind}_loss"))


def _counts(batch: PretrainingBatch, stage: PretrainingStage) -> dict[str, float]:
    windowed = _windowed(stage)
    counts: dict[str, float] = {}
    if batch.glyph_labels is not None and stage.glyph_loss:
        counts["glyph"] = label_weight(_cut(batch.glyph_labels, windowed))
    if batch.object_labels is not None:
        counts["object"] = known_cells(_cut(batch.object_labels, windowed))
    if batch.attention_targets is not None:
        counts["guided_attention"] = int((batch.attention_targets[:, 1:] >= 0).sum())
    if stage.cell_loss:
        counts["cell"] = cell_count(batch)
    if stage.position_loss:
        counts["position"] = _positions(batch.tiles, windowed).numel()
    if batch.counting is not None and stage.counting_loss:
        counts["counting"] = len(batch.counting.rows)
    return counts


def _windowed(stage: Stage) -> bool:
    return pretraining_stage(stage).tower_attention == "window"


def _positions(tiles: Tensor, windowed: bool) -> Tensor:
    """The cell 0..195 of every visual token: int64 [N, 196], or of windows."""
    return _cut(torch.arange(TILE_CELLS, device=tiles.device).repeat(len(tiles), 1), windowed)


def _cut(labels: Tensor, windowed: bool) -> Tensor:
    return window_labels(labels) if windowed else labels


def mask_excluded(logits: Tensor, excluded: Tensor | None) -> Tensor:
    """``logits`` [B, T, V], out of reach at the ``excluded`` [M, 3]; see ``PretrainingBatch``."""
    if excluded is None:
        return logits
    rows, positions, tokens = excluded.unbind(-1)
    return logits.index_put((rows, positions - 1, tokens), logits.new_tensor(MASKED_LOGIT))


def branched_mask(branches: Tensor) -> Tensor:
    """[B, 1, T, T], True where a token may look: back, at its own branch and at the prefix."""
    same = branches[:, :, None] == branches[:, None, :]
    return ((same | (branches == 0)[:, None, :]) & causal_mask(branches))[:, None]
