"""DeepSeekMoE (arXiv 2401.06066): shared experts for every token, routed experts for some.

Experts are separate modules, named as in the checkpoint: released shards then load without
a mapping or a copy, quantisers see every linear layer, and offloading reads only the
experts that a token was routed to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.format.config import TextConfig

# Rows of an expert's input come in multiples of this while training.
SHAPE_STEP = 64


class GatedMlp(nn.Module):
    """``down(silu(gate x) * up x)``: a dense layer, a routed expert, or the shared experts."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(hidden, intermediate, bias=False)
        self.up_proj = nn.Linear(hidden, intermediate, bias=False)
        self.down_proj = nn.Linear(intermediate, hidden, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., H] -> [..., H]."""
        gated = functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden)
        return self.down_proj(gated)  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Routing:
    """Where N tokens go: expert ids [N, K] int64, weights [N, K] fp32, affinities [N, E] fp32."""

    experts: Tensor
    weights: Tensor
    affinities: Tensor


# Experts, tokens [N, H], their routing, whether in training -> fp32 [N, H].
ExpertSum = Callable[[nn.ModuleList, Tensor, Routing, bool], Tensor]


class Router(nn.Module):
    """Chooses experts in fp32; ``mlp.gate`` of the checkpoint.

    Softmax/greedy (Tiny, Small): the K largest affinities, used as they are. Sigmoid/noaux_tc
    (27B; DeepSeek-V3, arXiv 2412.19437, section 2.1.2): ``e_score_correction_bias`` takes part
    in the choice, within the best groups, but not in the weights.
    """

    expert_load: Tensor

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.count = config.n_routed_experts or 0
        self.top_k = config.num_experts_per_tok or 1
        self.scoring = config.scoring_func
        self.groups = config.n_group or 1
        self.kept_groups = config.topk_group or 1
        self.renormalise = config.norm_topk_prob
        self.scale = config.routed_scaling_factor
        self.weight = nn.Parameter(torch.empty(self.count, config.hidden_size))
        self.corrected = config.topk_method == "noaux_tc"
        if self.corrected:
            self.e_score_correction_bias = nn.Parameter(
                torch.zeros(self.count), requires_grad=False
            )
        # Tokens per expert since the last reset; only counted while training.
        self.register_buffer("expert_load", torch.zeros(self.count), persistent=False)

    def forward(self, hidden: Tensor) -> Routing:
        """[N, H] -> the K experts of every token."""
        with torch.autocast(hidden.device.type, enabled=False):
            logits = functional.linear(hidden.float(), self.weight.float())
        affinities = logits.softmax(-1) if self.scoring == "softmax" else logits.sigmoid()
        experts = self._choice(affinities).topk(self.top_k, dim=-1, sorted=False).indices
        weights = affinities.gather(1, experts)
        # Only the corrected router renormalises: the greedy one ignores norm_topk_prob upstream
        # unless it is set, and then it does not scale.
        if self.renormalise and self.top_k > 1:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
            scale = self.scale if self.corrected else 1.0
        else:
            scale = self.scale
        if self.training:
            self._count_load(experts)
        return Routing(experts, weights * scale, affinities)

    def _choice(self, affinities: Tensor) -> Tensor:
        if not self.corrected:
            return affinities
        choice = affinities + self.e_score_correction_bias.float()
        if self.groups == 1:
            return choice
        grouped = choice.view(-1, self.groups, self.count // self.groups)
        group_score = grouped.topk(2, dim=-1).values.sum(-1)
        kept = group_score.topk(self.kept_groups, dim=-1, sorted=False).indices
        keep = torch.zeros_like(group_score, dtype=torch.bool).scatter_(1, kept, True)
        # Zero, not minus infinity: with sigmoid affinities and negative biases an expert of
        # a dropped group can still win, and upstream lets it.
        return grouped.masked_fill(~keep[..., None], 0.0).view_as(choice)

    @torch.no_grad()
    def _count_load(self, experts: Tensor) -> None:
        self.expert_load.add_(torch.bincount(experts.flatten(), minlength=self.count))

    @torch.no_grad()
    def update_bias(self, rate: float) -> None:
        """Move the correction bias towards a balanced load, and reset the load.

        Auxiliary-loss-free balancing (arXiv 2408.15664): ``rate`` is added for experts below
        the mean load and taken from those above.
        """
        if self.corrected:
            error = self.expert_load.mean() - self.expert_load
            bias = self.e_score_correction_bias
            bias.add_(error.sign().to(bias.dtype), alpha=rate)
        self.expert_load.zero_()


class MixtureOfExperts(nn.Module):
    """Routed experts, weighted and summed in fp32, plus the shared experts."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, config.moe_intermediate_size
        self.gate = Router(config)
        self.experts = nn.ModuleList(GatedMlp(hidden, width) for _ in range(self.gate.count))
        self.shared_experts: GatedMlp | None = None
        if config.n_shared_experts:
            self.shared_experts = GatedMlp(hidden, width * config.n_shared_experts)
        self.balance_loss: Tensor | None = None
        # Training may put another way to the same sum in its place.
        self.sum_experts: ExpertSum = sum_routed_experts

    def forward(self, hidden: Tensor, token_mask: Tensor | None = None) -> Tensor:
        """[B, T, H] -> [B, T, H].

        While training it also leaves the sequence-wise balance loss in ``balance_loss``;
        ``token_mask`` [B, T] marks the tokens that count for it.
        """
        flat = hidden.reshape(-1, hidden.shape[-1])
        routing = self.gate(flat)
        if self.training:
            self.balance_loss = balance_loss(routing, hidden.shape[0], token_mask)
        mixed = self.sum_experts(self.experts, flat, routing, self.training).to(hidden.dtype)
        if self.shared_experts is not None:
            mixed = mixed + self.shared_experts(flat)
        return mixed.view_as(hidden)


def sum_routed_experts(
    experts: nn.ModuleList, flat: Tensor, routing: Routing, training: bool
) -> Tensor:
    """The weighted sum of every token's experts: [N, H] -> fp32 [N, H].

    Tokens are sorted by expert, so that each expert runs once over all of its tokens.
    """
    total = torch.zeros(flat.shape, dtype=torch.float32, device=flat.device)
    top_k = routing.experts.shape[1]
    order = routing.experts.flatten().argsort(stable=True)
    rows = order // top_k
    weights = routing.weights.flatten()[order]
    counts = torch.bincount(routing.experts.flatten(), minlength=len(experts)).tolist()
    start = 0
    for expert, count in zip(experts, counts, strict=True):
        if count == 0:
            continue
        mine = slice(start, start + count)
        inputs = flat[rows[mine]]
        if training:
            inputs = _rounded_up(inputs)
        out = expert(inputs)[:count].float() * weights[mine, None]
        total = total.index_add(0, rows[mine], out)
        start += count
    return total


def _rounded_up(rows: Tensor) -> Tensor:
    """[N, H] with zero rows added up to a multiple of SHAPE_STEP.

    oneDNN compiles a kernel for every new shape, which takes longer than to run it: 0.87
    against 0.09 ms for 256 rows of a 256 by 160 product in bfloat16.
    """
    return functional.pad(rows, (0, 0, 0, -len(rows) % SHAPE_STEP))


def balance_loss(routing: Routing, batch: int, token_mask: Tensor | None) -> Tensor:
    """Sequence-wise balance loss of a layer (DeepSeek-V3, equations 17 to 20), not yet weighted.

    For every sequence the share of tokens that each expert got, times its mean normalised
    affinity, summed over experts; 1 when perfectly balanced. Gradients flow through the
    affinities.
    """
    count = routing.affinities.shape[1]
    affinities = routing.affinities / routing.affinities.sum(-1, keepdim=True)
    affinities = affinities.view(batch, -1, count)
    chosen = torch.zeros_like(affinities).scatter_(
        2, routing.experts.view(batch, -1, routing.experts.shape[1]), 1.0
    )
    if token_mask is None:
        token_mask = torch.ones(affinities.shape[:2], device=affinities.device)
    weight = token_mask.to(affinities.dtype)[..., None]
    tokens = weight.sum(1).clamp(min=1)
    share = (chosen * weight).sum(1) / tokens * (count / routing.experts.shape[1])
    mean_affinity = (affinities * weight).sum(1) / tokens
    return (share * mean_affinity).sum(-1).mean()
