"""From patch features to decoder embeddings: pixel shuffle, MLP, and the layout of tiles."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from deepseek_vl_v2.format.config import ProjectorConfig


class Projector(nn.Module):
    """2x2 pixel shuffle and an MLP: 27x27 features of a tile become 14x14 tokens.

    A grid that the ratio does not divide is padded with zeros at the bottom and the right.
    A token's 4C inputs are channel-major: index ``c * 4 + dy * 2 + dx``.
    """

    def __init__(self, config: ProjectorConfig) -> None:
        super().__init__()
        self.ratio = config.downsample_ratio
        wide = config.n_embed * config.mlp_ratio
        layers: list[nn.Module] = [nn.Linear(config.input_dim * self.ratio**2, wide)]
        for _ in range(1, config.depth - 1):
            layers += [nn.GELU(), nn.Linear(wide, wide)]
        layers += [nn.GELU(), nn.Linear(wide, config.n_embed)]
        self.layers = nn.Sequential(*layers)

    def forward(self, features: Tensor) -> Tensor:
        """[N, P, C] -> [N, ceil(grid / ratio) ** 2, n_embed], row-major."""
        count, patches, channels = features.shape
        side = round(patches**0.5)
        grid = features.view(count, side, side, channels)
        pad = -side % self.ratio
        grid = functional.pad(grid, (0, 0, 0, pad, 0, pad))
        cells = (side + pad) // self.ratio
        grid = grid.view(count, cells, self.ratio, cells, self.ratio, channels)
        tokens = grid.permute(0, 1, 3, 5, 2, 4).reshape(count, cells * cells, -1)
        return self.layers(tokens)  # type: ignore[no-any-return]


def assemble_image(
    tiles: Tensor,
    columns: int,
    rows: int,
    newline: Tensor,
    separator: Tensor,
    *,
    global_first: bool = True,
) -> Tensor:
    """Lay out one image's tiles as the rows of tokens that the decoder reads.

    Args:
        tiles: [1 + rows * columns, h * h, D]; the thumbnail, then local tiles row by row.
        columns: local tiles along the width.
        rows: local tiles along the height.
        newline: [D], appended to every row of tokens.
        separator: [D], between thumbnail and local view.
        global_first: whether the thumbnail comes before the local view.

    Returns:
        [h * (h + 1) + 1 + rows * h * (columns * h + 1), D].
    """
    side = round(tiles.shape[1] ** 0.5)
    width = tiles.shape[2]
    thumbnail = _with_newlines(tiles[0].view(side, side, width), newline)
    local = tiles[1:].view(rows, columns, side, side, width).transpose(1, 2)
    local = _with_newlines(local.reshape(rows * side, columns * side, width), newline)
    views = (
        [thumbnail, separator[None], local] if global_first else [local, separator[None], thumbnail]
    )
    return torch.cat(views)


def _with_newlines(grid: Tensor, newline: Tensor) -> Tensor:
    rows, _, width = grid.shape
    return torch.cat([grid, newline.expand(rows, 1, width)], dim=1).view(-1, width)
