"""Requests that run together: equal to what they are alone, fair, bounded, and apart in failing."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from deepseek_vl_v2.kernels import library as kernels
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Event, Finished, Started, Token
from dvl2_cli.engine.local.engine import LocalEngine
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.engine.local.scheduling.scheduler import CHUNK_BESIDE, Limits
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import QueueFullError, UsageError
from dvl2_cli.quantizing.quantize import Format, quantize_model
from tests import golden_data as golden

MANY = Limits(running=16, waiting=64, cache_bytes=1 << 30)
KINDS = ["float32", "int4", "int8"]

pytestmark = pytest.mark.skipif(not kernels.available(), reason="the kernels were not built")


@pytest.fixture(params=["scalar", "avx2", "avx512-vnni", "neon-dotprod", "neon-i8mm"])
def instruction_set(request: pytest.FixtureRequest) -> Iterator[str]:
    before = kernels.kernel_name()
    if not kernels.use_kernels(request.param):
        pytest.skip(f"this machine does not run the {request.param} kernels")
    yield request.param
    kernels.use_kernels(before)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], LoadedModel]:
    made: dict[tuple[str, str], LoadedModel] = {}
    folder = tmp_path_factory.mktemp("copies")

    def load(checkpoint: str, kind: str) -> LoadedModel:
        if (checkpoint, kind) not in made:
            source = golden.ROOT / "checkpoints" / checkpoint
            if kind != "float32":
                copy = folder / f"{checkpoint}-{kind}"
                quantize_model(source, Format[kind], copy, lambda done, total: None)
                source = copy
            dtype = torch.float32 if kind == "float32" else None
            made[checkpoint, kind] = load_model(Path(source), dtype=dtype)
        return made[checkpoint, kind]

    return load


def engine_of(loaded: LoadedModel, limits: Limits = MANY) -> LocalEngine:
    info = ModelInfo("test", None, "none", "cpu", 4096, False, "test")
    return LocalEngine(loaded, info, limits)


def picture(seed: int) -> Image.Image:
    grey = Image.effect_noise((16, 16), 80).point(lambda value: (value + 40 * seed) % 256)
    return Image.merge("RGB", (grey, grey.rotate(90), grey.rotate(180))).resize((300, 300))


def asked(text: str, *pictures: Image.Image, tokens: int = 12, **options: Any) -> Request:
    sampling = Sampling(max_new_tokens=tokens, **options)
    return Request((Message("user", text, pictures),), sampling, loop_guard=False)


def kinds_of_requests() -> list[Request]:
    """Short and long, greedy and drawn, constrained, repeating itself, and with pictures."""
    first = picture(1)
    repeated = "a b c d e f g h " * 4
    return [
        asked("hello there"),
        asked("hello there", tokens=20, repetition_penalty=1.2),
        asked(repeated, tokens=30),
        asked("hello " * 150),
        asked("hello " * 150 + "there"),
        asked("tell me", temperature=1.0, top_p=0.9, seed=7),
        asked("tell me", temperature=1.0, top_k=20, seed=8),
        asked("What is it?", first),
        asked("Which colour?", first.copy()),
        asked("What is it?", picture(2)),
        Request(
            (Message("user", "a number"),),
            Sampling(temperature=1.0, seed=1),
            Constraint("regex", "[0-9]{3}-(yes|no)"),
        ),
    ]


Answer = tuple[list[tuple[int, float]], str, str, object]


def answer_of(events: list[Event]) -> Answer:
    """What has to be equal, to the last bit: ids, log-probabilities, text, end, confidence."""
    finished = events[-1]
    assert isinstance(finished, Finished)
    tokens = [(event.token_id, event.logprob) for event in events if isinstance(event, Token)]
    return tokens, finished.raw, finished.finish_reason, finished.confidence


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("checkpoint", ["mha", "mla-sigmoid"])
def test_answers_do_not_depend_on_what_runs_beside(
    checkpoint: str, kind: str, instruction_set: str, loaded: Callable[[str, str], LoadedModel]
) -> None:
    model = loaded(checkpoint, kind)
    requests = kinds_of_requests()
    alone = [answer_of(list(engine_of(model).stream(request))) for request in requests]
    chance = random.Random(f"{checkpoint} {kind}")
    engine = engine_of(model)
    for _ in range(2):
        check_mixed(engine, requests, alone, chance)


def check_mixed(
    engine: LocalEngine, requests: list[Request], alone: list[Answer], chance: random.Random
) -> None:
    """Ask in a random order from several threads; every third request is cancelled midway."""

    def ask(index: int, cancelled: bool) -> tuple[int, bool, list[Event]]:
        cancel = threading.Event()
        events = []
        for event in engine.stream(requests[index], cancel):
            events.append(event)
            if cancelled and len(events) == 4:
                cancel.set()
        return index, cancelled, events

    order = chance.sample(range(len(requests)), len(requests)) * 2
    with ThreadPoolExecutor(6) as pool:
        asking = [pool.submit(ask, index, chance.random() < 0.3) for index in order]
        for done in asking:
            index, cancelled, events = done.result()
            tokens, raw, reason, confidence = answer_of(events)
            if cancelled and reason == "cancelled":
                assert tokens == alone[index][0][: len(tokens)]
            else:
                assert (tokens, raw, reason, confidence) == alone[index]


def test_a_batch_gives_every_answer_as_alone(
    loaded: Callable[[str, str], LoadedModel],
) -> None:
    model = loaded("mha", "int4")
    requests = kinds_of_requests()
    alone = [answer_of(list(engine_of(model).stream(request)))[1:] for request in requests]
    small = Limits(running=3, waiting=2, cache_bytes=1 << 30)
    together = engine_of(model, small).answer_batch([*requests, *requests])
    for answer, expected in zip(together, alone + alone, strict=True):
        assert (answer.raw, answer.finish_reason, answer.confidence) == expected


class Watched:
    """A decoder that notes what it is asked to do."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._decoder = loaded.decoder
        self.calls: list[tuple[str, int]] = []
        self.fails_at = -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._decoder, name)

    def prefill(self, cache: Any, embeds: Tensor) -> Tensor:
        self.calls.append(("prompt", embeds.shape[1]))
        return self._decoder.prefill(cache, embeds)

    def step(self, parts: Any) -> list[Tensor]:
        self.calls.append(("step", len(parts)))
        if len(self.calls) == self.fails_at:
            raise MemoryError
        return self._decoder.step(parts)


def watched_engine(
    loaded: Callable[[str, str], LoadedModel], limits: Limits = MANY
) -> tuple[LocalEngine, Watched]:
    model = loaded("mha", "float32")
    decoder = Watched(model)
    parts = LoadedModel(model.model, model.processor, decoder, None)
    return engine_of(parts, limits), decoder


def test_a_long_prompt_is_read_between_the_steps_of_an_answer(
    loaded: Callable[[str, str], LoadedModel],
) -> None:
    engine, decoder = watched_engine(loaded)
    first = engine.stream(asked("hello", tokens=40))
    assert isinstance(next(first), Started)
    assert isinstance(next(first), Token)
    second = engine.stream(asked("long " * 400))
    decoder.calls.clear()
    assert isinstance(next(second), Started)
    list(second)
    list(first)
    chunks = [index for index, (what, _) in enumerate(decoder.calls) if what == "prompt"]
    assert len(chunks) >= 3
    for index in chunks:
        assert decoder.calls[index][1] <= CHUNK_BESIDE
        assert decoder.calls[index + 1][0] == "step"
    assert max(count for what, count in decoder.calls if what == "step") == 2


def test_steps_take_all_answers_together(loaded: Callable[[str, str], LoadedModel]) -> None:
    engine, decoder = watched_engine(loaded)
    answers = engine.answer_batch([asked(f"hello {number}", tokens=20) for number in range(8)])
    tokens = sum(answer.usage.completion_tokens for answer in answers)
    steps = [count for what, count in decoder.calls if what == "step"]
    assert max(steps) == 8
    assert len(steps) < tokens / 3
    per_token = engine._loaded.decoder.cache_bytes_per_token
    for answer in answers:
        assert answer.usage.running == 8
        assert answer.usage.cache_bytes > 8 * 20 * per_token


def test_caches_stay_within_their_memory(loaded: Callable[[str, str], LoadedModel]) -> None:
    per_token = loaded("mha", "float32").decoder.cache_bytes_per_token
    room = Limits(running=8, waiting=8, cache_bytes=100 * per_token)
    engine, decoder = watched_engine(loaded, room)
    # About 20 positions of prompt and 30 of answer: two fit, and a third has to wait.
    engine.answer_batch([asked(f"hello {number}", tokens=30) for number in range(5)])
    assert max(count for what, count in decoder.calls if what == "step") == 2
    assert engine._scheduler.prefixes.nbytes <= 100 * per_token
    # One that needs more than all of it runs alone.
    *_, last = engine.stream(asked("hello " * 120, tokens=3))
    assert isinstance(last, Finished)
    assert engine._scheduler.prefixes.nbytes <= 100 * per_token


def test_equal_beginnings_are_read_once(loaded: Callable[[str, str], LoadedModel]) -> None:
    engine, decoder = watched_engine(loaded)
    list(engine.stream(asked("hello " * 100)))
    list(engine.stream(asked("other words")))
    decoder.calls.clear()
    started = next(engine.stream(asked("hello " * 100 + "there")))
    assert isinstance(started, Started)
    assert started.reused_tokens > 90
    assert sum(count for what, count in decoder.calls if what == "prompt") < 30


def test_a_full_queue_refuses(loaded: Callable[[str, str], LoadedModel]) -> None:
    engine, _ = watched_engine(loaded, Limits(running=1, waiting=1, cache_bytes=1 << 30))
    first = engine.stream(asked("one", tokens=50))
    next(first)
    engine._submit(engine._sequence(asked("two"), None))
    with pytest.raises(QueueFullError, match="1 requests wait already"):
        next(engine.stream(asked("three")))
    *_, last = first
    assert isinstance(last, Finished)


def test_a_refused_grammar_leaves_the_others(loaded: Callable[[str, str], LoadedModel]) -> None:
    engine, _ = watched_engine(loaded)
    first = engine.stream(asked("one", tokens=10))
    next(first)
    bad = Request((Message("user", "x"),), constraint=Constraint("json_schema", '{"type": "no"}'))
    with pytest.raises(UsageError, match="grammar"):
        list(engine.stream(bad))
    *_, last = first
    assert isinstance(last, Finished)


def test_an_answer_that_nobody_reads_frees_its_place(
    loaded: Callable[[str, str], LoadedModel],
) -> None:
    engine, _ = watched_engine(loaded)
    events = engine.stream(asked("one", tokens=100))
    next(events)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert engine._scheduler.running == []
    assert engine._scheduler.reserved == 0


def test_running_out_of_memory_ends_what_ran_and_nothing_else(
    loaded: Callable[[str, str], LoadedModel],
) -> None:
    from dvl2_cli.errors import OutOfMemoryError

    engine, decoder = watched_engine(loaded)
    decoder.fails_at = 5
    with pytest.raises(OutOfMemoryError):
        list(engine.stream(asked("one", tokens=50)))
    assert engine._scheduler.running == []
    decoder.fails_at = -1
    *_, last = engine.stream(asked("one", tokens=5))
    assert isinstance(last, Finished)
