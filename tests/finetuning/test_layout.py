"""Where the tokens of images come from."""

from __future__ import annotations

import pytest
import torch

from deepseek_vl_v2.projector import assemble_image
from dvl2_cli.finetuning.batch import PlacedImage
from dvl2_cli.finetuning.layout import shown_cells


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (2, 1), (1, 3), (3, 2)])
def test_images_are_laid_out_as_the_model_does_it(columns: int, rows: int) -> None:
    count = 1 + columns * rows
    tokens = torch.randn(count + 2, 196, 8)
    newline, separator = torch.randn(8), torch.randn(8)
    numbers = torch.randperm(count + 2)[:count].tolist()
    shown = shown_cells([PlacedImage(tuple(numbers), columns, rows)])
    table = torch.cat([tokens.flatten(0, 1), separator[None], newline[None]])
    wanted = assemble_image(tokens[numbers], columns, rows, newline, separator)
    assert torch.equal(table[shown], wanted)
