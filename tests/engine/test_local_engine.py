"""The local engine on golden checkpoints: same tokens as upstream, caches reused and right."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM
from deepseek_vl_v2.kernels import library as kernels
from deepseek_vl_v2.native_decoder import NativeDecoder
from dvl2_cli.conversations.markers import without_markers
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Event, Finished, Started, Token
from dvl2_cli.engine.local.decoder import TorchDecoder
from dvl2_cli.engine.local.engine import LocalEngine
from dvl2_cli.engine.local.loading import LoadedModel
from dvl2_cli.engine.request import Constraint, Message, Request, Sampling
from dvl2_cli.errors import ContextOverflowError, ModelError, UsageError
from dvl2_cli.store.policy import PLAIN_POLICY, Policy
from tests import golden_data as golden

CASES = [
    (checkpoint, name)
    for checkpoint in golden.CHECKPOINTS
    for name, case in golden.cases(checkpoint, "generate")["cases"].items()
    if "conversation" in case
]


def engine_of(checkpoint: str, context_length: int = 4096) -> LocalEngine:
    model = golden.model(checkpoint)
    loaded = LoadedModel(model, golden.processor(checkpoint), TorchDecoder(model), None)
    info = ModelInfo(checkpoint, None, "none", "cpu", context_length, False, "test")
    return LocalEngine(loaded, info)


def request_of(case: dict[str, Any], **options: Any) -> Request:
    messages = []
    for turn in case["conversation"][:-1]:
        role = "user" if turn["role"] in ("user", "<|User|>") else "assistant"
        pictures = tuple(golden.picture(name) for name in turn.get("images", []))
        text, _, places = without_markers(turn["content"])
        messages.append(Message(role, text, pictures, places))  # type: ignore[arg-type]
    sampling = Sampling(**{"max_new_tokens": 48, **options})
    return Request(tuple(messages), sampling, loop_guard=False)


def ids_of(events: list[Event]) -> list[int]:
    return [event.token_id for event in events if isinstance(event, Token)]


@pytest.mark.parametrize(("checkpoint", "name"), CASES)
def test_tokens_equal_upstream(checkpoint: str, name: str) -> None:
    case = golden.cases(checkpoint, "generate")["cases"][name]
    engine = engine_of(checkpoint)
    first = list(engine.stream(request_of(case)))
    assert ids_of(first) == case["tokens"]
    # The second question reuses the whole prompt, and is not changed by it.
    second = list(engine.stream(request_of(case, repetition_penalty=1.1)))
    started, finished = second[0], second[-1]
    assert isinstance(started, Started)
    assert started.reused_tokens == started.cost.prompt_tokens - 1
    assert isinstance(finished, Finished)
    expected = case["repetition_penalty_1.1_over_prompt_and_new"]["tokens"]
    if finished.finish_reason == "stop":
        assert expected[-1] == golden.processor(checkpoint).tokens.eos
        expected = expected[:-1]
    assert ids_of(second) == expected


def test_pictures_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    encode = DeepseekVLV2ForCausalLM.encode_tiles

    def counted(self: DeepseekVLV2ForCausalLM, tiles: Any) -> Any:
        calls.append(len(tiles))
        return encode(self, tiles)

    monkeypatch.setattr(DeepseekVLV2ForCausalLM, "encode_tiles", counted)
    engine = engine_of("mla")
    picture = golden.picture("small_100x100.png")
    for question in ("What is it?", "Which colour?"):
        message = Message("user", question, (picture.copy(),))
        events = list(engine.stream(Request((message,), Sampling(max_new_tokens=3))))
    assert calls == [2]
    started = events[0]
    assert isinstance(started, Started)
    assert started.reused_tokens > started.cost.image_tokens


def test_chat_turns_extend_the_cache() -> None:
    engine = engine_of("mla-sigmoid")
    turn = Message("user", "Hello", (golden.picture("small_100x100.png"),))
    sampling = Sampling(max_new_tokens=12)
    *_, answer = engine.stream(Request((turn,), sampling))
    assert isinstance(answer, Finished)
    talk = (turn, Message("assistant", answer.raw), Message("user", "And now?"))
    warm = list(engine.stream(Request(talk, sampling)))
    cold = list(engine_of("mla-sigmoid").stream(Request(talk, sampling)))
    assert isinstance(warm[0], Started)
    assert warm[0].reused_tokens > 421
    assert ids_of(warm) == ids_of(cold)


def test_cost_counts_without_running() -> None:
    case = golden.cases("mha", "generate")["cases"]["g02_one_image"]
    cost = engine_of("mha").cost(request_of(case))
    assert cost.prompt_tokens == case["prompt_length"]
    assert cost.image_tokens == 1023
    assert cost.tiles == ((2, 2),)


def test_overlong_prompt_is_refused() -> None:
    engine = engine_of("mha", context_length=400)
    message = Message("user", "hi", (golden.picture("small_100x100.png"),))
    with pytest.raises(ContextOverflowError, match=r"takes \d+ tokens .* context is 400"):
        list(engine.stream(Request((message,))))


def test_answers_end_at_the_context() -> None:
    engine = engine_of("mha", context_length=30)
    events = list(engine.stream(Request((Message("user", "hello there"),))))
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.finish_reason in ("length", "stop")
    assert finished.usage.prompt_tokens + finished.usage.completion_tokens <= 30


def test_empty_question_is_refused() -> None:
    with pytest.raises(UsageError, match="empty"):
        list(engine_of("mha").stream(Request((Message("user", "  "),))))


def test_cancelling_ends_soon() -> None:
    cancel = threading.Event()
    events = []
    for event in engine_of("mha").stream(Request((Message("user", "hello"),)), cancel):
        events.append(event)
        if len(ids_of(events)) == 3:
            cancel.set()
    assert len(ids_of(events)) == 3
    finished = events[-1]
    assert isinstance(finished, Finished)
    assert finished.finish_reason == "cancelled"


def test_sampling_is_repeatable_by_seed() -> None:
    def sample(seed: int) -> list[int]:
        sampling = Sampling(temperature=1.0, top_p=0.95, top_k=50, seed=seed, max_new_tokens=12)
        return ids_of(list(engine_of("mla").stream(Request((Message("user", "hi"),), sampling))))

    assert sample(7) == sample(7)
    assert sample(7) != sample(8)


def test_stop_strings_are_cut() -> None:
    engine = engine_of("mha")
    message = Message("user", "hello there")
    *_, whole = engine.stream(Request((message,), Sampling(max_new_tokens=30)))
    assert isinstance(whole, Finished)
    stop = whole.raw[5:9]
    *_, cut = engine.stream(Request((message,), Sampling(max_new_tokens=30), stop=(stop,)))
    assert isinstance(cut, Finished)
    assert cut.finish_reason == "stop"
    assert cut.raw == whole.raw[: whole.raw.index(stop)]


def test_constraint_is_followed() -> None:
    constraint = Constraint("regex", r"[0-9]{3}-(yes|no)")
    request = Request((Message("user", "hello"),), constraint=constraint)
    *_, finished = engine_of("mha").stream(request)
    assert isinstance(finished, Finished)
    assert finished.finish_reason == "stop"
    number, _, word = finished.raw.partition("-")
    assert number.isdecimal()
    assert len(number) == 3
    assert word in ("yes", "no")


def test_bad_grammar_is_refused() -> None:
    request = Request(
        (Message("user", "hello"),), constraint=Constraint("json_schema", '{"type": "nonsense"}')
    )
    with pytest.raises(UsageError, match="grammar"):
        list(engine_of("mha").stream(request))


def test_batch_equals_single() -> None:
    requests = [
        Request((Message("user", text),), Sampling(max_new_tokens=10))
        for text in ("one", "two", "one")
    ]
    batch = engine_of("mla").answer_batch(requests)
    for request, answer in zip(requests, batch, strict=True):
        *_, single = engine_of("mla").stream(request)
        assert isinstance(single, Finished)
        assert single.raw == answer.raw


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("decoder", [TorchDecoder, NativeDecoder])
def test_numbers_that_are_not_finite_are_an_error(
    value: float, temperature: float, decoder: type[TorchDecoder | NativeDecoder]
) -> None:
    if decoder is NativeDecoder and not kernels.available():
        pytest.skip("the kernels were not built")
    model = copy.deepcopy(golden.model("mha"))
    model.language.lm_head.weight.data[7] = value
    loaded = LoadedModel(model, golden.processor("mha"), decoder(model), None)
    info = ModelInfo("mha", None, "none", "cpu", 4096, False, "test")
    request = Request((Message("user", "hello"),), Sampling(temperature=temperature))
    with pytest.raises(ModelError, match="not finite"):
        list(LocalEngine(loaded, info).stream(request))


@pytest.mark.parametrize(
    ("policy", "low"), [(Policy(doubt_threshold=0.5), 0.6065), (PLAIN_POLICY, None)]
)
def test_a_policy_says_below_which_probability_answers_are_warned_of(
    policy: Policy, low: float | None
) -> None:
    model = golden.model("mla")
    loaded = LoadedModel(model, golden.processor("mla"), TorchDecoder(model), None, policy)
    info = ModelInfo("mla", None, "none", "cpu", 4096, False, "test", policy)
    case = next(
        case
        for case in golden.cases("mla", "generate")["cases"].values()
        if any(turn.get("images") for turn in case.get("conversation", ()))
    )
    *_, answer = LocalEngine(loaded, info).stream(request_of(case, max_new_tokens=2))
    assert isinstance(answer, Finished)
    threshold = answer.confidence.probability_threshold
    assert threshold == (None if low is None else pytest.approx(low, abs=1e-4))
