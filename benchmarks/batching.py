"""What it gains to answer several requests at once.

    python benchmarks/batching.py MODEL_FOLDER [--sequences 1,2,4,8] [--pictures 32] [--tokens 24]

Two parts. Steps: so many sequences, each after a prompt of its own, read one random token each;
the rate is compared with the machine's limit, which is the lower of what its read bandwidth allows
for the distinct weights that such a step touches and of the rate of prefill. Pictures: so many
pictures of one tile are described one by one, and then eight at once, by the product's own engine.

Distinct experts are those that random tokens are expected to choose: E (1 - (1 - k / E)^n).
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image

from deepseek_vl_v2.format.architecture import DecoderArchitecture
from dvl2_cli.benchmarking.limits import ReadBandwidth
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Event
from dvl2_cli.engine.local.engine import LocalEngine
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.engine.request import Message, Request, Sampling
from dvl2_cli.ordered import in_order
from dvl2_cli.planning.hardware import probe
from dvl2_cli.planning.weights import WeightPart, Weights, weights_held
from dvl2_cli.store.checkpoint import check_checkpoint

PROMPT = 256
ROUNDS = 7
FIRST_WORD = 300  # special tokens and single bytes come before it
AT_ONCE = 8


@dataclass(frozen=True)
class Steps:
    """Tokens per second of ``sequences`` at once, and the limit that was measured beside it."""

    sequences: int
    tokens: float
    by_bandwidth: float
    by_prefill: float

    @property
    def share(self) -> float:
        """Of the lower limit."""
        return self.tokens / min(self.by_bandwidth, self.by_prefill)


def bytes_of_step(weights: Weights, decoder: DecoderArchitecture, sequences: int) -> float:
    """Bytes of distinct weights that a step of one token for each sequence is expected to touch."""
    routed = weights.parts[WeightPart.ROUTED]
    if not routed or not decoder.experts:
        return weights.read_per_token(decoder)
    chosen = (decoder.experts_per_token or 1) / decoder.experts
    everyone = weights.read_per_token(decoder) - routed * chosen
    return everyone + routed * (1 - (1 - chosen) ** sequences)


class Stepping:
    """Sequences with a prompt read, and the time that a step of some of them takes."""

    def __init__(self, loaded: LoadedModel, most: int) -> None:
        self._decoder = loaded.decoder
        self._vocabulary = loaded.model.config.language.vocab_size
        self._random = random.Random(0)  # noqa: S311
        self._caches = [self._decoder.open(PROMPT + ROUNDS * 8) for _ in range(most)]
        rates = []
        for cache in self._caches:
            ids = [self._word() for _ in range(PROMPT)]
            embeds = loaded.model.embed(torch.tensor([ids]))
            start = time.perf_counter()
            self._decoder.prefill(cache, embeds)
            rates.append(PROMPT / (time.perf_counter() - start))
        self.prefill_rate = statistics.median(rates)

    def seconds(self, sequences: int) -> float:
        """Of one step."""
        for cache in self._caches:
            cache.crop(PROMPT)
        parts = [(cache, [self._word()]) for cache in self._caches[:sequences]]
        start = time.perf_counter()
        self._decoder.step(parts)
        return time.perf_counter() - start

    def _word(self) -> int:
        return self._random.randrange(FIRST_WORD, self._vocabulary)


def measure_steps(
    loaded: LoadedModel, weights: Weights, decoder: DecoderArchitecture, counts: list[int]
) -> Iterator[Steps]:
    """One row for each number of sequences; rounds alternate with looks at the bandwidth."""
    reader = ReadBandwidth()
    stepping = Stepping(loaded, max(counts))
    for count in counts:
        stepping.seconds(count)
        rounds = []
        for _ in range(ROUNDS):
            bandwidth = reader.measure()
            rounds.append((count / stepping.seconds(count), bandwidth))
        rounds.sort(key=lambda item: item[0] / item[1])
        tokens, bandwidth = rounds[ROUNDS // 2]
        limit = count * bandwidth / bytes_of_step(weights, decoder, count)
        yield Steps(count, tokens, limit, stepping.prefill_rate)


def picture(seed: int) -> Image.Image:
    """Noise of one tile."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randint(0, 256, (384, 384, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(noise.numpy())


def engine_answers(engine: LocalEngine) -> Callable[[Request], list[Event]]:
    """What has a request answered."""
    return lambda request: list(engine.stream(request))


def measure_pictures(loaded: LoadedModel, count: int, tokens: int) -> tuple[float, float]:
    """Seconds for so many pictures one by one, and eight at once."""
    info = ModelInfo("bench", None, "", "cpu", loaded.context_length, False, "")
    requests = [
        Request(
            (Message("user", "Describe this picture.", (picture(seed),)),),
            Sampling(max_new_tokens=tokens),
            loop_guard=False,
        )
        for seed in range(count)
    ]
    taken = []
    for together in (1, AT_ONCE):
        engine = LocalEngine(loaded, info)
        start = time.perf_counter()
        for _ in in_order(requests, engine_answers(engine), together):
            pass
        taken.append(time.perf_counter() - start)
        engine.close()
    return taken[0], taken[1]


@torch.inference_mode()
def main() -> None:
    """Measure, and print a line of JSON for each figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sequences", default="1,2,4,8")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=24)
    arguments = parser.parse_args()
    info = check_checkpoint(arguments.folder)
    hardware = probe(arguments.folder)
    weights = weights_held(info, "cpu", hardware, None)
    loaded = load_model(info, hardware=hardware)
    counts = [int(text) for text in arguments.sequences.split(",")]
    for steps in measure_steps(loaded, weights, info.architecture.decoder, counts):
        print(json.dumps({**asdict(steps), "share": round(steps.share, 3)}), flush=True)
    if arguments.pictures:
        alone, together = measure_pictures(loaded, arguments.pictures, arguments.tokens)
        print(
            json.dumps({"pictures": arguments.pictures, "one_by_one": alone, "at_once": together})
        )


if __name__ == "__main__":
    main()
