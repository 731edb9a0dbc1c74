"""What visual tokens should show after the decoder's first layers."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepseek_vl_v2 import DeepseekVLV2Processor
from dvl2_cli.rendering.render import render
from dvl2_cli.training.batch import PlacedImage
from dvl2_cli.training.cells import (
    in_sequence,
    places_in_sequence,
    places_of,
    twins_of,
)
from dvl2_cli.training.glyphs import THUMBNAIL_TOKENS
from dvl2_cli.training.recipe import Stage
from dvl2_cli.training.rendered import RenderedBatches, _all_labels
from tests.golden_data import ROOT
from tests.rendering.fonts_here import need_all

FOLDER = ROOT / "checkpoints" / "mla"
STAGE = Stage(name="look", steps=1, learning_rate=1e-3, tiles=2, mix={"crowd": 1.0})


def processor() -> DeepseekVLV2Processor:
    return DeepseekVLV2Processor.from_pretrained(FOLDER)


@pytest.mark.parametrize("kind", ["clean-tile", "clean-page"])
def test_a_pointed_token_has_the_label_of_the_glyph_that_is_read_there(kind: str) -> None:
    need_all()
    sample = render(kind, 5, "train")
    data = RenderedBatches(dataclasses.replace(STAGE, pointer_loss=1.0), 1, processor())
    encoded = data._with_pointers(data._encode(sample, branched=False), sample)
    assert encoded.pointers is not None
    assert encoded.bins is not None
    labels = in_sequence(torch.from_numpy(_all_labels(encoded, sample)), encoded.images)
    first = data._before_image(encoded)
    assert len(labels) == encoded.ids.count(data.processor.tokens.image)
    read = [(p - first, b) for p, b in zip(encoded.pointers, encoded.bins, strict=True) if p >= 0]
    assert len(read) > 50
    # Close glyphs share a bin, and one of them goes beside it.
    shown = [bool((labels[place] > 0).any()) for place, _ in read]
    exact = [int(labels[place, inner]) > 0 for place, inner in read]
    assert all(shown)
    assert sum(exact) > 0.9 * len(exact)


def test_separators_and_thumbnails_of_pages_have_no_labels() -> None:
    tiles = torch.ones(3, 196, 1)
    labels = in_sequence(tiles, (PlacedImage((0, 1, 2), 2, 1),))
    thumbnail = 14 * 15 + 1
    assert bool((labels[:thumbnail] == -1).all())
    lines = labels[thumbnail:].view(14, 29)
    assert bool((lines[:, :28] == 1).all())
    assert bool((lines[:, 28] == -1).all())


def test_every_visual_token_has_its_place_in_its_tile() -> None:
    image = PlacedImage((0, 1, 2), 2, 1)
    found = places_in_sequence(image)
    thumbnail, lines = found[: 14 * 15].view(14, 15), found[14 * 15 + 1 :].view(14, 29)
    cells = torch.arange(196).view(14, 14)
    assert torch.equal(thumbnail[:, :14], cells)
    assert torch.equal(lines[:, :28], torch.cat([cells, cells], dim=1))
    ends = [thumbnail[:, 14], lines[:, 28], found[14 * 15 : 14 * 15 + 1]]
    assert bool((torch.cat(ends) == -1).all())
    ids = torch.tensor([[5, *[9] * len(found), 5]])
    assert torch.equal(places_of(ids, (image,), 9)[0, 1:-1], found)
    assert places_of(ids, (image,), 9)[0, [0, -1]].tolist() == [-1, -1]


def test_the_thumbnail_shows_the_same_only_of_one_tile() -> None:
    one, two = PlacedImage((0, 1), 1, 1), PlacedImage((0, 1, 2), 2, 1)
    lengths = [len(places_in_sequence(image)) for image in (one, two)]
    ids = torch.tensor([[5, *[9] * lengths[0], 5, *[9] * lengths[1]]])
    places, twins = (of(ids, (one, two), 9)[0] for of in (places_of, twins_of))
    assert int(twins.sum()) == 196
    local = twins.nonzero()[:, 0]
    assert bool((local <= lengths[0]).all())
    assert torch.equal(places[local], places[local - THUMBNAIL_TOKENS])
