import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from dvl2_cli.errors import OutOfMemoryError
from dvl2_cli.planning.accelerators import Accelerator
from dvl2_cli.planning.choose import outlook, outlook_of_copy
from dvl2_cli.planning.hardware import Fact, Hardware
from dvl2_cli.planning.plan import Tier, Workload, make_plan
from dvl2_cli.planning.released import NAMES, released_architecture
from dvl2_cli.planning.weights import (
    WeightPart,
    parameters,
    predicted_weights,
    upcast_types,
    weights_from_headers,
    weights_held,
)
from dvl2_cli.planning.working_memory import cache_bytes_per_token
from dvl2_cli.store.checkpoint import check_checkpoint

GOLDEN = Path(__file__).parents[1] / "golden" / "checkpoints"
GB = 10**9
PAGE = Workload(10, 2100, 500)
ARCHITECTURES = {name: released_architecture(name) for name in NAMES}
WEIGHTS = {
    (name, quant): predicted_weights(ARCHITECTURES[name], quant)
    for name in NAMES
    for quant in ("none", "int4")
}


def machine(ram: int = 24 * GB, *cards: Accelerator) -> Hardware:
    said = "test"
    return Hardware(
        system=Fact("Linux", said),
        cpu=Fact("a CPU", said),
        cores=Fact(2, said),
        isa=Fact(("avx2",), said),
        ram_total=Fact(ram, said),
        ram_available=Fact(ram, said),
        memory_limit=Fact(None, said),
        disk_free=Fact(100 * GB, said),
        accelerators=Fact(cards, said),
    )


def card(memory: int) -> Accelerator:
    return Accelerator("cuda", "a card", memory, memory, (8, 9))


@pytest.mark.parametrize(("name", "billions"), [("tiny", 3.36), ("small", 16.13), ("base", 27.46)])
def test_shapes_sum_to_the_published_sizes(name: str, billions: float) -> None:
    assert parameters(released_architecture(name)) / 1e9 == pytest.approx(billions, abs=0.01)


@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_prediction_equals_what_a_checkpoint_holds(folder: Path) -> None:
    info = check_checkpoint(folder)
    measured = weights_from_headers({key: item.nbytes for key, item in info.tensors.items()})
    predicted = predicted_weights(info.architecture, "none")
    itemsize = {item.dtype for item in info.tensors.values()}
    factor = 2 if itemsize == {"F32"} else 1
    assert {part: size * factor for part, size in predicted.parts.items()} == measured.parts


@pytest.mark.parametrize(("name", "ratio"), [("tiny", 1), ("small", 8), ("base", 17)])
def test_latent_cache_is_smaller_by_the_aim(name: str, ratio: int) -> None:
    decoder = released_architecture(name).decoder
    expanded = cache_bytes_per_token(decoder, expanded=True)
    assert expanded >= ratio * cache_bytes_per_token(decoder)


def test_27b_int4_is_resident_on_a_24_gb_machine() -> None:
    parts = released_architecture("base")
    plan = make_plan(parts, predicted_weights(parts, "int4"), machine(), PAGE)
    assert plan.resident_experts == 1
    assert plan.bytes_in(Tier.DISK) == 0


@given(st.sampled_from(NAMES), st.integers(1 * GB, 64 * GB), st.sampled_from(["int4", "none"]))
def test_a_plan_stays_within_the_cap_or_says_what_it_needs(name: str, cap: int, quant: str) -> None:
    parts, weights = ARCHITECTURES[name], WEIGHTS[name, quant]
    refusal = None
    try:
        plan = make_plan(parts, weights, machine(128 * GB), PAGE, max_memory=cap)
    except OutOfMemoryError as error:
        refusal = error
    if refusal is not None:
        assert "--max-memory" in refusal.message
        assert refusal.hint is not None
        return
    assert plan.bytes_in(Tier.RAM) <= cap
    placed = sum(p.nbytes for p in plan.placements if isinstance(p.what, WeightPart))
    assert placed == weights.total


@given(st.sampled_from(NAMES), st.integers(4 * GB, 80 * GB), st.integers(8 * GB, 128 * GB))
def test_a_gpu_plan_stays_within_card_and_ram(name: str, memory: int, ram: int) -> None:
    parts, weights = ARCHITECTURES[name], WEIGHTS[name, "none"]
    hardware = machine(ram, card(memory))
    try:
        plan = make_plan(parts, weights, hardware, PAGE, device="cuda")
    except OutOfMemoryError:
        return
    assert plan.bytes_in(Tier.GPU) <= memory
    assert plan.bytes_in(Tier.RAM) <= ram
    split = {
        p.what for p in plan.placements if p.tier is not Tier.GPU and isinstance(p.what, WeightPart)
    }
    assert split == ({WeightPart.ROUTED} if plan.resident_experts < 1 else set())
    placed = sum(p.nbytes for p in plan.placements if isinstance(p.what, WeightPart))
    assert placed == weights.total


@pytest.mark.parametrize(("quant", "memory"), [("none", 2 * GB), ("nf4", 6 * GB)])
def test_a_card_too_small_is_refused_and_the_cpu_named(quant: str, memory: int) -> None:
    parts = released_architecture("small")
    weights = predicted_weights(parts, quant)  # quantised experts cannot be fetched one by one
    with pytest.raises(OutOfMemoryError, match="on a card") as caught:
        make_plan(parts, weights, machine(64 * GB, card(memory)), PAGE, device="cuda")
    assert "--device cpu" in str(caught.value.hint)
    needed = float(caught.value.message.split("at least ")[1].split(" GB")[0])
    assert needed > memory / GB
    least = card(int((needed + 0.1) * GB))
    assert make_plan(parts, weights, machine(64 * GB, least), PAGE, device="cuda")


def test_a_cap_that_cannot_work_names_one_that_does() -> None:
    parts = released_architecture("small")
    weights = predicted_weights(parts, "int4")
    with pytest.raises(OutOfMemoryError) as caught:
        make_plan(parts, weights, machine(), PAGE, max_memory=GB)
    assert caught.value.hint is not None
    named = float(caught.value.hint.split("--max-memory ")[1].split("GB")[0])
    assert make_plan(parts, weights, machine(), PAGE, max_memory=int(named * GB))


@pytest.mark.parametrize("name", NAMES)
def test_the_cap_that_is_advised_does_not_depend_on_the_request(name: str) -> None:
    parts, weights = ARCHITECTURES[name], WEIGHTS[name, "int4"]

    def advice(need: Workload) -> tuple[str, str]:
        with pytest.raises(OutOfMemoryError) as caught:
            make_plan(parts, weights, machine(), need, max_memory=GB // 2)
        return caught.value.message, str(caught.value.hint)

    alone, full = advice(Workload()), advice(Workload(10, 3000, 1096))
    assert alone[0] != full[0]  # at least so much is needed
    assert alone[1] == full[1]


def test_a_large_card_gets_bfloat16_and_a_small_one_nf4() -> None:
    parts = released_architecture("tiny")
    assert outlook("tiny", parts, machine(64 * GB, card(24 * GB))).quant == "none"
    small = outlook("base", released_architecture("base"), machine(64 * GB, card(24 * GB)))
    assert (small.quant, small.device) == ("nf4", "cuda")


def test_what_cannot_run_says_why() -> None:
    found = outlook("base", released_architecture("base"), machine(1 * GB))
    assert not found.runs
    # Of all copies the smallest is the least that has to fit.
    assert found.quant == "int4"
    assert "GB" in found.reason
    assert found.remedy is not None


def test_a_copy_that_is_here_is_judged_by_its_own_weights() -> None:
    parts = released_architecture("tiny")
    weights = predicted_weights(parts, "int4")
    big = machine(8 * GB, card(80 * GB))
    fits = outlook_of_copy("tiny", parts, weights, "int4", big, packed=True)
    assert (fits.runs, fits.device) == (True, "cpu")  # packed weights run on the CPU alone
    # Of the same name, but made by bitsandbytes.
    other = outlook_of_copy(
        "tiny", parts, predicted_weights(parts, "int8"), "int8", big, packed=False
    )
    assert other.device == "cuda"
    refused = outlook_of_copy("tiny", parts, weights, "int4", machine(1 * GB), packed=True)
    assert (refused.runs, refused.plan) == (False, None)
    assert refused.remedy is not None


def test_float16_is_counted_as_float32_on_a_cpu(tmp_path: Path) -> None:
    info = check_checkpoint(_in_float16(GOLDEN / "mla", tmp_path))
    stored = weights_from_headers({key: item.nbytes for key, item in info.tensors.items()})
    assert weights_held(info, "cpu").total == 2 * stored.total
    assert weights_held(info, "cuda").parts == stored.parts
    assert "widened" in weights_held(info, "cpu").source
    plain = check_checkpoint(GOLDEN / "mla")
    assert not upcast_types(plain, "cpu")


def test_bfloat16_is_upcast_where_the_cpu_lacks_it_and_memory_holds_it(tmp_path: Path) -> None:
    info = check_checkpoint(_in_bfloat16(GOLDEN / "mla", tmp_path))
    stored = weights_held(info, "cpu").total
    without = dataclasses.replace(machine(8 * GB), isa=Fact(("avx2", "fma"), "test"))
    held = weights_held(info, "cpu", without)
    assert held.total == 2 * stored
    assert "bfloat16 is upcast to float32" in held.source
    assert weights_held(info, "cuda", without).total == stored
    # A cap that float32 does not fit into, a CPU that has the products, and an unknown one.
    assert weights_held(info, "cpu", without, cap=2 * stored).total == stored
    native = dataclasses.replace(without, isa=Fact(("avx2", "avx512_bf16"), "test"))
    unknown = dataclasses.replace(without, isa=Fact((), "test"))
    for other in (native, unknown):
        assert weights_held(info, "cpu", other).total == stored


def _in_bfloat16(source: Path, target: Path) -> Path:
    return _converted(source, target, torch.bfloat16)


def _in_float16(source: Path, target: Path) -> Path:
    return _converted(source, target, torch.float16)


def _converted(source: Path, target: Path, dtype: torch.dtype) -> Path:
    for path in source.iterdir():
        if path.suffix == ".safetensors":
            tensors = {key: value.to(dtype) for key, value in load_file(path).items()}
            save_file(tensors, target / path.name, {"format": "pt"})
        elif path.is_file():
            shutil.copy(path, target)
    return target


def test_more_memory_never_makes_a_plan_worse() -> None:
    parts = released_architecture("base")
    weights = predicted_weights(parts, "int4")
    shares = [
        make_plan(parts, weights, machine(ram * GB), PAGE).resident_experts
        for ram in (8, 12, 16, 24)
    ]
    assert shares == sorted(shares)


def test_hardware_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        machine().cores = Fact(4, "test")  # type: ignore[misc]


@pytest.mark.parametrize("quant", ["int4", "int8"])
@pytest.mark.parametrize("folder", sorted(GOLDEN.iterdir()), ids=lambda path: path.name)
def test_prediction_equals_what_quantize_writes(folder: Path, quant: str) -> None:
    from deepseek_vl_v2.quantized_format import PackedKind
    from dvl2_cli.quantizing.layout import plan_shards

    info = check_checkpoint(folder)
    shards = plan_shards(info.tensors, info.architecture, PackedKind(quant))
    written = {target.key: target.nbytes for shard in shards for target in shard.targets}
    plain = {key for key, item in info.tensors.items() if item.dtype == "F32"}
    halved = {
        target.key: target.nbytes // 2 if target.source in plain and not target.kind else size
        for shard in shards
        for target, size in ((item, written[item.key]) for item in shard.targets)
    }
    assert predicted_weights(info.architecture, quant).parts == weights_from_headers(halved).parts


@pytest.mark.parametrize("name", NAMES)
def test_caches_of_several_answers_take_half_of_what_is_left(name: str) -> None:
    parts, weights = ARCHITECTURES[name], WEIGHTS[name, "int4"]
    full = cache_bytes_per_token(parts.decoder) * parts.decoder.context_length

    def room(ram: int, cap: int | None = None) -> int:
        return make_plan(parts, weights, machine(ram), PAGE, max_memory=cap).cache_room

    assert room(64 * GB) - room(60 * GB) == pytest.approx(2 * GB, rel=0.1)
    assert full <= room(32 * GB) < (32 * GB - weights.total) // 2
    # A cap that holds little beside the weights still lets one answer run.
    assert room(64 * GB, weights.total + 4 * GB) < room(64 * GB)
    assert room(64 * GB, weights.total + GB) >= full
