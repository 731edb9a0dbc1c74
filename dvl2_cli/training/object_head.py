"""A head that reads an object linearly off the decoder's states; dropped after training."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from dvl2_cli.training.things import NAMES, SHADES

BOX_WEIGHT = 8.0


class ObjectHead(nn.Module):
    """States [N, H] -> name, colour and box."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.Linear(width, len(NAMES))
        self.shades = nn.Linear(width, len(SHADES))
        self.box = nn.Linear(width, 4)

    def loss(self, states: Tensor, facts: Tensor) -> tuple[Tensor, Tensor]:
        """Summed loss against ``facts`` [N, 6] (see ``objects.SeenObject``), and right names."""
        states = self.norm(states)
        names, shades = self.names(states).float(), self.shades(states).float()
        loss = functional.cross_entropy(names, facts[:, 0].long(), reduction="sum")
        loss = loss + functional.cross_entropy(shades, facts[:, 1].long(), reduction="sum")
        box = functional.l1_loss(self.box(states).float(), facts[:, 2:], reduction="sum")
        right = (names.detach().argmax(-1) == facts[:, 0]).sum()
        return loss + BOX_WEIGHT * box, right
