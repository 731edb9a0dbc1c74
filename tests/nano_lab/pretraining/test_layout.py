"""Places of image tokens, and labels in the order of tokens."""

from __future__ import annotations

import torch

from dvl2_cli.finetuning.batch import PlacedImage
from nano_lab.pretraining.glyph_labels import THUMBNAIL_TOKENS
from nano_lab.pretraining.layout import FRAMES, in_sequence, lay_out, spread, twins

ONE, TWO = PlacedImage((0, 0), 1, 1), PlacedImage((1, 2, 3), 2, 1)


def test_images_stand_one_behind_the_other() -> None:
    both = lay_out([ONE, TWO])
    for whole, first, second in zip(both, lay_out([ONE]), lay_out([TWO]), strict=True):
        assert torch.equal(whole, torch.cat([first, second]))
    assert [len(part) for part in lay_out([])] == [0, 0]


def test_separators_have_no_labels() -> None:
    shown, _ = lay_out([TWO])
    labels = in_sequence(torch.ones(4, 196, 3), shown)
    lines = labels[THUMBNAIL_TOKENS:].view(14, 29, 3)
    assert bool((lines[:, :28] == 1).all())
    assert bool((lines[:, 28] == -1).all())
    assert bool((labels[THUMBNAIL_TOKENS - 1] == -1).all())


def test_places_tell_the_tile_and_the_cell_in_it() -> None:
    _, places = lay_out([PlacedImage((0, 1, 2), 2, 1)])
    thumbnail, lines = places[: 14 * 15].view(14, 15), places[THUMBNAIL_TOKENS:].view(14, 29)
    cells = torch.arange(196).view(14, 14)
    assert torch.equal(thumbnail[:, :14] % 196, cells)
    assert torch.equal(lines[:, :28] % 196, torch.cat([cells, cells], dim=1))
    assert bool((thumbnail[:, :14] // 196 == FRAMES * FRAMES - 1).all())
    assert bool((lines[:, :14] // 196 == 0).all())
    assert bool((lines[:, 14:28] // 196 == 1).all())
    ends = [thumbnail[:, 14], lines[:, 28], places[THUMBNAIL_TOKENS - 1 : THUMBNAIL_TOKENS]]
    assert bool((torch.cat(ends) == -1).all())


def test_the_second_row_of_tiles_has_frames_of_its_own() -> None:
    _, places = lay_out([PlacedImage(tuple(range(5)), 2, 2)])
    lines = places[THUMBNAIL_TOKENS:].view(28, 29)
    assert set((lines[14:, 14:28] // 196).flatten().tolist()) == {FRAMES + 1}


def test_text_has_no_place() -> None:
    _, places = lay_out([TWO])
    ids = torch.tensor([[5, *[9] * len(places), 5]])
    spread_out = spread(places, ids, 9)
    assert torch.equal(spread_out[0, 1:-1], places)
    assert spread_out[0, [0, -1]].tolist() == [-1, -1]
    assert torch.equal(spread(places[:0], ids, 3), torch.full_like(ids, -1))


def test_the_thumbnail_shows_the_same_only_of_one_tile() -> None:
    shown, places = lay_out([ONE, TWO])
    same = twins(shown)
    assert int(same.sum()) == 196
    local = same.nonzero()[:, 0]
    assert bool((local < len(lay_out([ONE])[0])).all())
    assert torch.equal(places[local] % 196, places[local - THUMBNAIL_TOKENS] % 196)
