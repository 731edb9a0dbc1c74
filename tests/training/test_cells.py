"""What visual tokens should show after the decoder's first layers."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from dvl2_cli.rendering.render import render
from dvl2_cli.training.batch import PlacedImage
from dvl2_cli.training.cells import departure, in_sequence, places_in_sequence, places_of
from dvl2_cli.training.encode import collate
from dvl2_cli.training.network import TrainingNetwork
from dvl2_cli.training.recipe import Recipe, Stage
from dvl2_cli.training.rendered import RenderedBatches, _all_labels
from tests.golden_data import ROOT
from tests.rendering.fonts_here import need_all

FOLDER = ROOT / "checkpoints" / "mla"
STAGE = Stage(
    name="open", steps=1, learning_rate=1e-3, language_loss=0.0, cell_loss=1.0, keep=1.0,
    balance_loss=0.0, tiles=2, mix={"crowd": 1.0},
)  # fmt: skip


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


def test_departure_is_a_share_and_nothing_for_the_same() -> None:
    states = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0))
    text = torch.tensor([[True, False] * 3] * 2)
    assert float(departure(states, states, text)) == 0.0
    everything = torch.ones_like(text)
    assert float(departure(states, states, everything)) == 0.0
    assert float(departure(1.1 * states, states, text)) == pytest.approx(0.02, rel=0.5)


def test_only_the_first_layers_run_and_what_they_were_is_remembered() -> None:
    need_all()
    model = DeepseekVLV2ForCausalLM.from_pretrained(FOLDER, dtype=torch.float32)
    network = TrainingNetwork(model, Recipe("r", str(FOLDER), (STAGE,)))
    data = RenderedBatches(STAGE, 1, processor())
    batch = data[0]
    later = model.language.model.layers[2]
    later.register_forward_pre_hook(lambda *_: pytest.fail("a later layer ran"))
    at_first = network(batch, STAGE).sums["cell"].item()
    with torch.no_grad():
        for parameter in model.language.model.layers[0].parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    network.remember()
    kept = network(batch, dataclasses.replace(STAGE, keep=100.0)).sums["cell"].item()
    free = network(batch, dataclasses.replace(STAGE, keep=0.0)).sums["cell"].item()
    assert kept == pytest.approx(free, rel=1e-4)
    assert free != pytest.approx(at_first, rel=1e-4)


def test_a_picture_alone_ends_with_its_last_token() -> None:
    need_all()
    data = RenderedBatches(dataclasses.replace(STAGE, keep=0.0), 1, processor())
    sample = render("scene", 2, "train")
    whole = data._with_pointers(data._encode(sample, branched=False), sample)
    alone = data._picture_alone(whole)
    assert alone.ids == whole.ids[: len(alone.ids)]
    assert alone.ids[-1] == data.processor.tokens.image
    assert set(alone.labels) == {-100}
    batch = collate([alone], data.processor.pad_id)
    assert batch.objects is not None
    assert len(batch.objects.areas) == len(sample.things)
