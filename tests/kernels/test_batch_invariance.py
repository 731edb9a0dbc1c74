"""A sequence's logits have the same bits whatever is read beside it, and however it is read."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from deepseek_vl_v2.core import ImageTextModel
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.mapped_loading import load_plain
from deepseek_vl_v2.native_cache import NativeCache
from deepseek_vl_v2.native_decoder import NativeDecoder
from deepseek_vl_v2.quantized_loading import load_quantized
from dvl2_cli.quantizing.quantize import Format, quantize_model
from tests import golden_data

pytestmark = pytest.mark.skipif(not kernels.available(), reason="the kernels were not built")

WEIGHTS = ["float32", "bfloat16", "int4", "int8"]
CAPACITY = 400
ANSWER = 10
VOCABULARY = 1000


@pytest.fixture(params=["scalar", "avx2", "avx512-vnni", "neon-dotprod", "neon-i8mm"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = kernels.kernel_name()
    if not kernels.use_kernels(request.param):
        pytest.skip(f"this machine does not run the {request.param} kernels")
    yield request.param
    kernels.use_kernels(before)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copies")


def model_of(checkpoint: str, weights: str, copies: Path) -> ImageTextModel:
    if weights == "float32":
        return load_plain(golden_data.ROOT / "checkpoints" / checkpoint, torch.float32)
    if weights == "bfloat16":
        return load_plain(golden_data.ROOT / "checkpoints" / checkpoint, torch.bfloat16)
    folder = copies / f"{checkpoint}-{weights}"
    if not folder.exists():
        source = golden_data.ROOT / "checkpoints" / checkpoint
        quantize_model(source, Format[weights], folder, lambda done, total: None)
    return load_quantized(folder)


@dataclass
class Script:
    """A prompt and the answer that is read after it, whatever the logits say."""

    prompt: list[int]
    answer: list[int]
    expected: list[Tensor] = field(default_factory=list)


class Reading:
    """One sequence of a random mix, compared with itself alone at every step."""

    def __init__(self, decoder: NativeDecoder, model: ImageTextModel, script: Script) -> None:
        self.decoder, self.model, self.script = decoder, model, script
        self.cache = decoder.open(CAPACITY)
        self.written = 0

    @property
    def in_prompt(self) -> bool:
        return self.cache.length < len(self.script.prompt)

    @property
    def finished(self) -> bool:
        return self.written == len(self.script.answer)

    def read_chunk(self, size: int) -> None:
        ids = self.script.prompt[self.cache.length : self.cache.length + size]
        logits = self.decoder.prefill(self.cache, self.model.embed(torch.tensor([ids])))
        if not self.in_prompt:
            assert torch.equal(logits, self.script.expected[0])

    def next_tokens(self, chance: random.Random) -> list[int]:
        """The next tokens of the answer; maybe wrong ones after them, as a draft may be."""
        right = chance.randint(1, 4)
        wrong = chance.choice([0, 0, 2])
        tokens = self.script.answer[self.written : self.written + right]
        return tokens + [chance.randrange(5, VOCABULARY) for _ in range(wrong)]

    def take(self, rows: Tensor, tokens: list[int]) -> None:
        for token, row in zip(tokens, rows, strict=True):
            if self.finished or token != self.script.answer[self.written]:
                break
            self.written += 1
            assert torch.equal(row, self.script.expected[self.written])
        self.cache.crop(len(self.script.prompt) + self.written)


def scripts_of(chance: random.Random) -> list[Script]:
    """Prompts of one to 300 tokens, of which some begin alike."""
    shared = [chance.randrange(5, VOCABULARY) for _ in range(270)]
    scripts = []
    for length in (1, 3, 15, 16, 17, 40, 300):
        kept = chance.choice([0, length // 2, length - 1])
        tail = [chance.randrange(5, VOCABULARY) for _ in range(length - kept)]
        answer = [chance.randrange(5, VOCABULARY) for _ in range(ANSWER)]
        scripts.append(Script(shared[: min(kept, 270)] + tail, answer))
    return scripts


def read_alone(decoder: NativeDecoder, model: ImageTextModel, script: Script) -> None:
    cache = decoder.open(CAPACITY)
    script.expected = [decoder.prefill(cache, model.embed(torch.tensor([script.prompt])))]
    for token in script.answer:
        script.expected.append(decoder.step([(cache, [token])])[0][0])


def common(left: list[int], right: list[int]) -> int:
    same = [a == b for a, b in zip(left, right, strict=False)]
    return same.index(False) if False in same else len(same)


def start(reading: Reading, earlier: list[tuple[Script, NativeCache]]) -> None:
    """Take over what an earlier prompt has in common with this one."""
    for script, cache in earlier:
        length = min(
            common(script.prompt, reading.script.prompt),
            len(reading.script.prompt) - 1,
            cache.length,
        )
        if length > reading.cache.length:
            reading.cache.copy_prefix(cache, length)


def read_mixed(
    decoder: NativeDecoder, model: ImageTextModel, scripts: list[Script], chance: random.Random
) -> None:
    """Every script once, in a random order, with arrivals and cancellations between steps."""
    waiting = chance.sample(scripts, len(scripts))
    running: list[Reading] = []
    earlier: list[tuple[Script, NativeCache]] = []
    while waiting or running:
        if waiting and (not running or chance.random() < 0.4):
            reading = Reading(decoder, model, waiting.pop())
            start(reading, earlier)
            earlier.append((reading.script, reading.cache))
            running.append(reading)
        for reading in running:
            if reading.in_prompt and chance.random() < 0.6:
                reading.read_chunk(chance.choice([1, 5, 16, 17, 64, 300]))
        ready = [reading for reading in running if not reading.in_prompt]
        parts = [(reading, reading.next_tokens(chance)) for reading in ready]
        if parts:
            rows = decoder.step([(reading.cache, tokens) for reading, tokens in parts])
            for (reading, tokens), logits in zip(parts, rows, strict=True):
                reading.take(logits, tokens)
        running = [item for item in running if not item.finished and chance.random() > 0.02]


@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("checkpoint", golden_data.CHECKPOINTS)
@torch.inference_mode()
def test_logits_do_not_depend_on_what_is_beside(
    checkpoint: str, weights: str, instruction_set: str, copies: Path
) -> None:
    model = model_of(checkpoint, weights, copies)
    decoder = NativeDecoder(model)
    chance = random.Random(f"{checkpoint} {weights}")
    scripts = scripts_of(chance)
    for script in scripts:
        read_alone(decoder, model, script)
    for _ in range(3):
        read_mixed(decoder, model, scripts, chance)
