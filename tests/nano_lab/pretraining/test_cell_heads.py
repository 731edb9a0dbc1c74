"""What visual tokens should show after the decoder's first layers."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from deepseek_vl_v2 import DeepseekVLV2Processor
from nano_lab.pretraining.layout import in_sequence, lay_out
from nano_lab.pretraining.recipe import PretrainingStage
from nano_lab.pretraining.rendered_batches import RenderedBatches, _glyph_labels
from nano_lab.rendering.render import render
from tests.golden_data import ROOT
from tests.nano_lab.rendering.fonts_here import need_all

FOLDER = ROOT / "checkpoints" / "mla"
STAGE = PretrainingStage(name="look", steps=1, learning_rate=1e-3, tiles=2, mix={"crowd": 1.0})


def processor() -> DeepseekVLV2Processor:
    return DeepseekVLV2Processor.from_pretrained(FOLDER)


@pytest.mark.parametrize("kind", ["clean-tile", "clean-page"])
def test_a_pointed_token_has_the_label_of_the_glyph_that_is_read_there(kind: str) -> None:
    need_all()
    sample = render(kind, 5, "train")
    data = RenderedBatches(dataclasses.replace(STAGE, guided_attention_loss=1.0), 1, processor())
    encoded = data._with_targets(data._encode(sample, branched=False), sample)
    assert encoded.attention_targets is not None
    assert encoded.glyph_bins is not None
    labels = in_sequence(
        torch.from_numpy(_glyph_labels(encoded, sample)), lay_out(encoded.images)[0]
    )
    first = data._before_image(encoded)
    assert len(labels) == encoded.ids.count(data.processor.tokens.image)
    read = [
        (p - first, b)
        for p, b in zip(encoded.attention_targets, encoded.glyph_bins, strict=True)
        if p >= 0
    ]
    assert len(read) > 50
    # Close glyphs share a bin, and one of them goes beside it.
    shown = [bool((labels[place] > 0).any()) for place, _ in read]
    exact = [int(labels[place, inner]) > 0 for place, inner in read]
    assert all(shown)
    assert sum(exact) > 0.9 * len(exact)
