"""One small picture through a model, in each way of decoding that this machine has.

In float32, in which the compiled kernels and torch differ only by the order of sums: the
same tokens, and logits that agree to a few units of the last places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from deepseek_vl_v2.native_decoder import NativeDecoder, UnsupportedModelError
from dvl2_cli.engine.local.decoder import OneSequence, TorchDecoder
from dvl2_cli.engine.local.features import FeatureCache
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.engine.local.prompt import build_prompt
from dvl2_cli.engine.request import Message, Request
from dvl2_cli.prompts import PRESETS

TOKENS = 12


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came out.

    ``tokens`` are greedy, by torch; ``logits`` those of the first position, [V]. The other
    members compare the kernels along the same tokens and are None where there are none:
    ``native_tokens`` what they would have chosen, ``distance`` the largest difference of a
    logit in units of the logits' standard deviation.
    """

    tokens: tuple[int, ...]
    logits: tuple[float, ...]
    native_tokens: tuple[int, ...] | None
    distance: float | None
    why_not_native: str | None


def run_self_test(folder: Path) -> SelfTest:
    """Ask the model in ``folder`` about a drawn picture.

    Raises:
        ModelError: the folder holds no sound checkpoint.
        OutOfMemoryError: it does not fit.
    """
    loaded = load_model(folder, dtype=torch.float32)
    embeds = _prompt(loaded)
    length = embeds.shape[1] + TOKENS
    tokens, expected = _greedy(OneSequence(TorchDecoder(loaded.model), length), embeds)
    try:
        native = OneSequence(NativeDecoder(loaded.model), length)
    except UnsupportedModelError as error:
        return SelfTest(tuple(tokens), _plain(expected[0]), None, None, str(error))
    found = _along(native, embeds, tokens)
    distance = float(((found - expected).abs().amax(-1) / expected.std(-1)).max())
    return SelfTest(
        tuple(tokens), _plain(expected[0]), tuple(found.argmax(-1).tolist()), distance, None
    )


def drawn_picture() -> Image.Image:
    """A small picture without text, so that no font changes it."""
    picture = Image.new("RGB", (320, 240), (235, 235, 225))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((30, 60, 140, 180), fill=(200, 30, 30))
    draw.ellipse((190, 70, 290, 170), fill=(30, 60, 200))
    return picture


@torch.inference_mode()
def _prompt(loaded: LoadedModel) -> Tensor:
    """[1, T, H] embeddings of the question about the picture."""
    picture = drawn_picture()
    request = Request((Message("user", PRESETS["describe"], (picture,)),))
    prompt = build_prompt(request, loaded.processor, loaded.context_length, policy=loaded.policy)
    features = FeatureCache(loaded.model, loaded.processor).get(picture, prompt.feature_keys[0])
    mask = torch.tensor([prompt.image_mask])
    return loaded.model.embed(torch.tensor([prompt.ids]), [features.tokens], mask)


def _greedy(decoder: OneSequence, embeds: Tensor) -> tuple[list[int], Tensor]:
    """The likeliest tokens one after the other, and the logits [TOKENS, V] they came from."""
    logits = [decoder.prefill(embeds)]
    tokens = [int(logits[0].argmax())]
    while len(tokens) < TOKENS:
        logits.append(decoder.verify(tokens[-1:])[0])
        tokens.append(int(logits[-1].argmax()))
    return tokens, torch.stack(logits)


def _along(decoder: OneSequence, embeds: Tensor, tokens: Sequence[int]) -> Tensor:
    """The logits [TOKENS, V] while reading ``tokens``."""
    logits = [decoder.prefill(embeds)]
    logits += [decoder.verify([token])[0] for token in tokens[:-1]]
    return torch.stack(logits)


def _plain(logits: Tensor) -> tuple[float, ...]:
    return tuple(logits.tolist())
