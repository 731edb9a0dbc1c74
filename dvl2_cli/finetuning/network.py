"""The module that a step runs: the model, from a batch to its loss.

One ``forward`` from the root, so that DDP and FSDP see every parameter they wrap. Fine-tuning has
one loss. A subclass adds losses in ``auxiliary_losses``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from dvl2_cli.errors import UsageError
from dvl2_cli.finetuning.batch import MicroBatch
from dvl2_cli.finetuning.recipe import Recipe, Stage
from dvl2_cli.finetuning.sharding import give_every_expert_a_gradient, outside_of_layers


@dataclass(frozen=True, slots=True)
class States:
    """What a pass made of a batch.

    Attributes:
        visual: the projector's tokens [N, 196, D]; None without pictures.
        hidden: the inputs [B, T, H] of every decoder layer, and the final states; empty unless
            ``wants_hidden_states`` asked for them.
    """

    visual: Tensor | None
    hidden: tuple[Tensor, ...]


@dataclass(slots=True)
class Losses:
    """What a micro-batch adds to its step.

    Attributes:
        sums: of every kind of loss the sum, to be divided by the step's ``label_counts``.
        right: of every kind how much was right, and of how much.
        balance: the routers' mean balance loss.
        nothing: zero, but a function of every trained weight.
    """

    sums: dict[str, Tensor] = field(default_factory=dict)
    right: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    balance: Tensor | None = None
    nothing: Tensor | None = None


class TrainingNetwork(nn.Module):
    """``model`` is the checkpoint being trained.

    Attributes:
        kinds: of losses, in the order in which a step counts them.
        measured: kinds of which the share that is right is shown.
    """

    kinds: tuple[str, ...] = ("language",)
    measured: tuple[str, ...] = ("language",)

    def __init__(
        self, model: DeepseekVLV2ForCausalLM, recipe: Recipe, *, sharded: bool = False
    ) -> None:
        """Wrap ``model``; ``sharded``: FSDP will share out its weights.

        Raises:
            UsageError: pictures are laid out as in no release.
        """
        super().__init__()
        if model.config.global_view_pos != "head":
            raise UsageError("only models that see the thumbnail first can be trained")
        self.model = model
        self.sharded = sharded
        if sharded:
            give_every_expert_a_gradient(model)

    def loss_weights(self, stage: Stage) -> dict[str, float]:
        """The weight of every kind of loss."""
        return {"language": 1.0}

    def label_counts(self, batch: MicroBatch, stage: Stage) -> dict[str, float]:
        """What the sum of every kind of loss is to be divided by, for one micro-batch."""
        return {"language": float(batch.answer_tokens)}

    def auxiliary_losses(
        self, losses: Losses, batch: MicroBatch, states: States, stage: Stage
    ) -> None:
        """A hook: add other losses than the language model's to ``losses``."""

    def wants_hidden_states(self, batch: MicroBatch, stage: Stage) -> bool:
        """A hook: whether ``auxiliary_losses`` reads the decoder's hidden states."""
        return False

    def encode_tiles(self, tiles: Tensor, stage: Stage) -> Tensor:
        """A hook: normalised tiles [N, 3, S, S] -> visual tokens [N, 196, D]."""
        return cast(Tensor, self.model.projector(self.model.vision(tiles)))

    def attention_mask(self, batch: MicroBatch) -> Tensor | None:
        """A hook: bool [B, 1, T, T], True where a token may look; None is causal."""
        return None if batch.packing_ids is None else packed_mask(batch.packing_ids)

    def mask_logits(self, logits: Tensor, batch: MicroBatch) -> Tensor:
        """A hook: logits [B, T - 1, V] without what is no negative."""
        return logits

    def forward(self, batch: MicroBatch, stage: Stage) -> Losses:
        """Losses of a micro-batch."""
        losses = Losses()
        visual = None
        if len(batch.tiles):
            tiles = (batch.tiles.float() / 127.5 - 1).to(self.model.vision.pos_embed.dtype)
            visual = self.encode_tiles(tiles, stage)
        hidden = self._language(losses, batch, visual, stage) if len(batch.ids) else ()
        self.auxiliary_losses(losses, batch, States(visual, hidden), stage)
        if torch.is_grad_enabled():
            # Every weight that other processes wait for takes part in the loss, those that the
            # batch leaves out with zero.
            waited = self.waited_for() if distributed.is_initialized() else self.waited_for()[:1]
            nothing = [0.0 * p.flatten()[0].float() for p in waited]
            losses.nothing = torch.stack(nothing).sum() if nothing else None
        return losses

    def waited_for(self) -> list[nn.Parameter]:
        """Parameters whose gradients other processes wait for, whatever a batch makes use of."""
        trained = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        return [p for n, p in trained if not self.sharded or outside_of_layers(n)]

    def _language(
        self, losses: Losses, batch: MicroBatch, visual: Tensor | None, stage: Stage
    ) -> tuple[Tensor, ...]:
        """The language model's loss; returns the hidden states that are asked for."""
        model = self.model
        wanted = self.wants_hidden_states(batch, stage)
        out = model.language.model(
            inputs_embeds=self._embed(batch, visual),
            position_ids=batch.positions,
            attention_mask=self.attention_mask(batch),
            use_cache=False,
            output_hidden_states=wanted,
        )
        learned = batch.labels[:, 1:] != -100
        # Every position, so that the product's shape recurs; see encode.LENGTH_STEP.
        logits = model.language.lm_head(out.last_hidden_state)[:, :-1]
        logits = self.mask_logits(logits, batch)[learned].float()
        targets = batch.labels[:, 1:][learned]
        losses.sums["language"] = functional.cross_entropy(logits, targets, reduction="sum")
        right = (logits.detach().argmax(-1) == targets).sum()
        losses.right["language"] = right, learned.sum()
        if stage.balance_loss:
            losses.balance = model.language.model.balance_loss()
        return tuple(out.hidden_states) if wanted else ()

    def _embed(self, batch: MicroBatch, visual: Tensor | None) -> Tensor:
        if visual is None:
            return self.model.embed(batch.ids)
        ends = torch.stack([self.model.view_seperator, self.model.image_newline])
        # Separators are numbered -1 and -2: the last rows.
        table = torch.cat([visual.flatten(0, 1), ends.to(visual.dtype)])
        return self.model.embed(batch.ids, [table[batch.shown]])


def packed_mask(packing_ids: Tensor) -> Tensor:
    """[B, 1, T, T], True where a token may look: back, and within its own sample.

    Padding looks at itself, so that no row of the softmax is empty.
    """
    same = packing_ids[:, :, None] == packing_ids[:, None, :]
    return (same & causal_mask(packing_ids))[:, None]


def causal_mask(rows: Tensor) -> Tensor:
    """[T, T], True where a token of ``rows`` [B, T] looks at itself or back."""
    length = rows.shape[1]
    return torch.ones(length, length, dtype=torch.bool, device=rows.device).tril()
