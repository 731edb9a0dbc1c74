"""What the engine loads for itself computes what transformers' classes compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from deepseek_vl_v2 import DeepseekVLV2Processor
from deepseek_vl_v2.cache import GrowingCache
from deepseek_vl_v2.mapped_loading import load_plain
from deepseek_vl_v2.prompting import PromptProcessor
from dvl2_cli.engine.local.sampling import Sampler
from dvl2_cli.engine.request import Sampling
from tests import golden_data as golden

NANO = Path(__file__).parents[2] / "models" / "dvl2_nano"
FOLDERS = [NANO, *(golden.ROOT / "checkpoints" / name for name in golden.CHECKPOINTS)]
TEXT = "Total: 12.50 € <image> <|ref|>a cat<|/ref|> <|User|> 你好"


@pytest.mark.parametrize("checkpoint", golden.CHECKPOINTS)
@torch.no_grad()
def test_logits_are_equal_in_one_piece_and_in_two(checkpoint: str) -> None:
    ids = torch.arange(3, 43)[None]
    expected = golden.model(checkpoint)(input_ids=ids).logits[0]
    plain = load_plain(golden.ROOT / "checkpoints" / checkpoint, torch.float32)
    embeds = plain.embed(ids)
    whole = plain.language.read(embeds, GrowingCache(), ids.shape[1])
    torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-5)
    cache = GrowingCache()
    plain.language.read(embeds[:, :30], cache, 1)
    cache.crop(25)
    rest = plain.language.read(embeds[:, 25:], cache, 15)
    torch.testing.assert_close(rest, expected[25:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_prompts_are_equal(folder: Path) -> None:
    plain, wrapped = PromptProcessor(folder), DeepseekVLV2Processor.from_pretrained(folder)
    assert plain.backend.get_vocab() == wrapped.backend.get_vocab()
    assert list(plain.special_tokens) == list(wrapped.special_tokens)
    assert plain.grid((900, 1400)) == wrapped.grid((900, 1400))
    for member in ("bos", "eos", "image", "user", "assistant"):
        assert getattr(plain.tokens, member) == getattr(wrapped.tokens, member)
    ids = wrapped.tokenizer.encode(TEXT, add_special_tokens=False)
    assert plain.tokens.encode(TEXT) == ids
    assert plain.decode(ids) == wrapped.decode(ids)
    assert plain.tokens.encode_literal(TEXT) == wrapped.tokens.encode_literal(TEXT)


@pytest.mark.parametrize("penalty", [1.0, 1.3])
@pytest.mark.parametrize("top_k", [0, 5])
@pytest.mark.parametrize("top_p", [0.8, 1.0])
def test_sampling_is_that_of_transformers(penalty: float, top_k: int, top_p: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(50, generator=generator)
    history = [3, 7, 7, 20]
    theirs = LogitsProcessorList()
    if penalty != 1.0:
        theirs.append(RepetitionPenaltyLogitsProcessor(penalty))
    theirs.append(TemperatureLogitsWarper(0.7))
    if top_k:
        theirs.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        theirs.append(TopPLogitsWarper(top_p))
    expected = theirs(torch.tensor([history]), logits[None])[0]  # type: ignore[arg-type]
    sampling = Sampling(temperature=0.7, top_p=top_p, top_k=top_k, repetition_penalty=penalty)
    assert torch.equal(Sampler(sampling).scores(logits, history), expected)
