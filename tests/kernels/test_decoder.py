"""The compiled decoder against the torch model, for plain and packed weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.native_decoder import NativeDecoder, UnsupportedModelError
from deepseek_vl_v2.quantized_loading import load_quantized
from dvl2_cli.engine.local.decoder import OneSequence
from dvl2_cli.quantizing.quantize import Format, quantize_model
from tests import golden_data

TOKENS = torch.randint(5, 1000, (1, 60), generator=torch.Generator().manual_seed(1))
# fp32 sums in another order; where int8 activations are rounded, one of them may fall on the
# other side of a half, which moves a logit by about a hundredth of its spread.
PLAIN_TOLERANCE = 1e-4
PACKED_TOLERANCE = 0.35

pytestmark = pytest.mark.skipif(not kernels.available(), reason="the kernels were not built")


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("copies")
    made = {}
    for name in golden_data.CHECKPOINTS:
        for kind in (Format.int4, Format.int8):
            source = golden_data.ROOT / "checkpoints" / name
            copy = folder / f"{name}-{kind.value}"
            quantize_model(source, kind, copy, lambda done, total: None)
            made[name, kind.value] = copy
    return made


@pytest.fixture(params=["scalar", "avx2", "avx512-vnni"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = kernels.kernel_name()
    if not kernels.use_kernels(request.param):
        pytest.skip(f"this machine does not run the {request.param} kernels")
    yield request.param
    kernels.use_kernels(before)


@torch.inference_mode()
def expected_logits(model: DeepseekVLV2ForCausalLM) -> Tensor:
    return model.language(input_ids=TOKENS).logits[0]  # type: ignore[no-any-return]


@torch.inference_mode()
def read_in_every_way(model: DeepseekVLV2ForCausalLM) -> list[tuple[int, Tensor]]:
    """(position, logits) after prefills long and short, steps, several at once, and rewinding."""
    decoder = OneSequence(NativeDecoder(model), 64)
    embeds = model.embed(TOKENS)
    ids = TOKENS[0].tolist()
    read = [(19, decoder.prefill(embeds[:, :20]))]
    read += [(i, decoder.step(ids[i])) for i in range(20, 26)]
    read += list(zip(range(26, 33), decoder.verify(ids[26:33]), strict=True))
    assert decoder.length == 33
    decoder.crop(10)
    assert decoder.length == 10
    read.append((21, decoder.prefill(embeds[:, 10:22])))
    read.append((59, decoder.prefill(embeds[:, 22:])))
    return read


@pytest.mark.parametrize("checkpoint", golden_data.CHECKPOINTS)
def test_plain_weights_give_the_torch_models_logits(checkpoint: str, instruction_set: str) -> None:
    model = golden_data.model(checkpoint)
    expected = expected_logits(model)
    for position, logits in read_in_every_way(model):
        assert float((logits - expected[position]).abs().max()) < PLAIN_TOLERANCE, position


@pytest.mark.parametrize("kind", ["int4", "int8"])
@pytest.mark.parametrize("checkpoint", golden_data.CHECKPOINTS)
def test_packed_weights_give_the_torch_models_logits(
    checkpoint: str, kind: str, instruction_set: str, copies: dict[tuple[str, str], Path]
) -> None:
    model = load_quantized(copies[checkpoint, kind])
    expected = expected_logits(model)
    read = read_in_every_way(model)
    far = [
        float((logits - expected[position]).abs().max()) / float(expected[position].std())
        for position, logits in read
    ]
    # A rounded activation may also tip a router between two experts, which moves a logit by
    # its whole spread: random weights do that at some positions, wrong code at all of them.
    near = [distance < PACKED_TOLERANCE for distance in far]
    assert sum(near) >= 0.75 * len(near), far


@pytest.mark.parametrize("checkpoint", golden_data.CHECKPOINTS)
def test_copies_answer_like_the_original(
    checkpoint: str, copies: dict[tuple[str, str], Path]
) -> None:
    expected = expected_logits(golden_data.model(checkpoint)).argmax(-1)
    agreement = {}
    for kind in ("int4", "int8"):
        logits = expected_logits(load_quantized(copies[checkpoint, kind]))
        agreement[kind] = float((logits.argmax(-1) == expected).float().mean())
    # Random weights make flat distributions, where a small error changes the winner.
    assert agreement["int8"] >= 0.8
    assert agreement["int4"] >= 0.4
    assert agreement["int8"] > agreement["int4"]


@pytest.mark.parametrize("checkpoint", golden_data.CHECKPOINTS)
def test_steps_across_several_chunks_of_cache(checkpoint: str) -> None:
    model = golden_data.model(checkpoint)
    ids = torch.randint(5, 1000, (1, 700), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        expected = model.language(input_ids=ids).logits[0]
        decoder = OneSequence(NativeDecoder(model), 700)
        decoder.prefill(model.embed(ids[:, :690]))
        for position in range(690, 700):
            logits = decoder.step(int(ids[0, position]))
            assert float((logits - expected[position]).abs().max()) < PLAIN_TOLERANCE


def test_latents_take_less_room_than_heads() -> None:
    latent = NativeDecoder(golden_data.model("mla")).cache_bytes_per_token
    # 3 layers of rank 32 + rope 8, padded to 48 float32.
    assert latent == 3 * 48 * 4


@pytest.mark.parametrize("checkpoint", ["mha", "mla"])
def test_a_cache_takes_no_memory_until_it_is_written(checkpoint: str) -> None:
    model = golden_data.model(checkpoint)
    before = psutil.Process().memory_info().rss
    decoder = OneSequence(NativeDecoder(model), 1 << 19)
    whole = decoder.cache_bytes_per_token << 19
    assert psutil.Process().memory_info().rss - before < whole / 4
    assert decoder.step(5).isfinite().all()


def test_impossible_requests_are_refused() -> None:
    decoder = OneSequence(NativeDecoder(golden_data.model("mha")), 4)
    with pytest.raises(ValueError, match="outside the vocabulary"):
        decoder.step(10**6)
    with pytest.raises(ValueError, match="not 1 to"):
        decoder.verify([])
    decoder.verify([5, 6, 7, 8])
    with pytest.raises(ValueError, match="exceed the cache"):
        decoder.step(9)


def test_models_that_are_not_covered_are_named() -> None:
    model = DeepseekVLV2ForCausalLM.from_pretrained(
        golden_data.ROOT / "checkpoints" / "mha", dtype=torch.float16
    )
    with pytest.raises(UnsupportedModelError, match=r"float16"):
        NativeDecoder(model)


def test_without_kernels_torch_has_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kernels.SWITCH, "0")
    kernels.load_library.cache_clear()
    try:
        with pytest.raises(UnsupportedModelError, match="not there"):
            NativeDecoder(golden_data.model("mha"))
    finally:
        kernels.load_library.cache_clear()
