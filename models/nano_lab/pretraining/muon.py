"""Muon for many small matrices: those of one shape at a time, each process its share.

torch's own works on one matrix after the other, in bfloat16, for which many CPUs have no
instructions: on a CPU with AVX2 alone its step takes longer than the pass through the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

from dvl2_cli.finetuning.optimizer import adamw, is_matrix, trained_parameters
from nano_lab.pretraining.recipe import PretrainingStage

# The quintic Newton-Schulz iteration of Muon (Jordan et al., 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5
EPS = 1e-7


class BatchedMuon(torch.optim.Muon):
    """Same steps, state and options as ``torch.optim.Muon``, up to rounding."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Orthogonalise every matrix's momentum and move the matrix against it."""
        if any(isinstance(p, DTensor) for group in self.param_groups for p in group["params"]):
            return cast("float | None", super().step(closure))
        loss = None if closure is None else closure()
        for group in self.param_groups:
            self._step(group)
        return loss

    def _step(self, group: dict[str, Any]) -> None:
        parameters = [p for p in group["params"] if p.grad is not None]
        if not parameters:
            return
        gradients = [cast(Tensor, p.grad) for p in parameters]
        buffers = [self._buffer(p) for p in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, buffers, group["momentum"])
        rate, decay = group["lr"], group["weight_decay"]
        # As large as AdamW's updates (arXiv 2502.16982, section 2.2).
        scales = [-rate * 0.2 * max(p.shape) ** 0.5 for p in parameters]
        torch._foreach_mul_(parameters, 1 - rate * decay)
        torch._foreach_add_(parameters, torch._foreach_mul(_shared(nesterov), scales))

    def _buffer(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return cast(Tensor, state["momentum_buffer"])


def _shared(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Each matrix orthogonalised, by one of the processes."""
    rank, world = 0, 1
    if distributed.is_available() and distributed.is_initialized():
        rank, world = distributed.get_rank(), distributed.get_world_size()
    by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, matrix in enumerate(matrices):
        by_shape[tuple(matrix.shape)].append(index)
    flat = torch.zeros(sum(m.numel() for m in matrices), device=matrices[0].device)
    pieces = flat.split([m.numel() for m in matrices])
    results = [piece.view(m.shape) for piece, m in zip(pieces, matrices, strict=True)]
    turn = 0
    for indices in by_shape.values():
        # Shapes take turns in who begins, so that rests do not all fall to the first.
        mine = [i for place, i in enumerate(indices) if (place + turn) % world == rank]
        turn += len(indices)
        if mine:
            found = orthogonalise(torch.stack([matrices[i] for i in mine]))
            torch._foreach_copy_([results[i] for i in mine], list(found))
    if world > 1:
        distributed.all_reduce(flat)
    return results


def orthogonalise(matrices: Tensor) -> Tensor:
    """Matrices [N, A, B] with their singular values moved to about 1."""
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x.float() if x.device.type == "cpu" else x.bfloat16()
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=EPS)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def build_optimizers(network: nn.Module, stage: PretrainingStage) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the blocks where the stage asks for it, AdamW for the rest.

    Muon (orthogonalised momentum, arXiv 2502.16982, with updates scaled as large as AdamW's) needs
    about half as many steps when a model starts from nothing.
    """
    trained = trained_parameters(network)
    if stage.optimizer != "muon":
        return [adamw(trained, stage)]
    inner = [p for n, p in trained if is_inner(n, p)]
    others = [(n, p) for n, p in trained if not is_inner(n, p)]
    if not inner:
        return [adamw(others, stage)]
    muon = BatchedMuon(
        inner,
        lr=stage.learning_rate,
        weight_decay=stage.weight_decay,
        momentum=0.95,
        adjust_lr_fn="match_rms_adamw",
    )
    return [muon, adamw(others, stage)]


def is_inner(name: str, parameter: nn.Parameter) -> bool:
    """Whether Muon takes it: a matrix between two layers, not an embedding or an output."""
    outer = ("embed_tokens", "lm_head", "patch_embed", "head.", "heads.", ".gate.weight")
    inside = parameter.dim() == 2 and not any(part in name for part in outer)
    return inside and is_matrix(name, parameter)
