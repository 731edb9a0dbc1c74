"""Fine-tuning: what is learnt, what is saved, and that it answers."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from deepseek_vl_v2 import DeepseekVLV2ForCausalLM, DeepseekVLV2Processor
from deepseek_vl_v2.cache import GrowingCache
from dvl2_cli.engine.engine import ModelInfo
from dvl2_cli.engine.events import Finished
from dvl2_cli.engine.local.adapter import quiet_peft
from dvl2_cli.engine.local.engine import LocalEngine
from dvl2_cli.engine.local.loading import LoadedModel, load_model
from dvl2_cli.engine.request import Message, Request, Sampling
from dvl2_cli.errors import ModelError, UsageError
from dvl2_cli.finetuning.export import base_of, write_merged
from dvl2_cli.finetuning.progress import read_log
from dvl2_cli.finetuning.run import train
from dvl2_cli.finetuning.state import NETWORK, states
from dvl2_cli.store.policy import Policy, read_policy, write_policy
from tests.finetuning.conftest import TINY, options, recipe_for
from tests.golden_data import ROOT


@pytest.fixture(scope="module")
def random_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter on all experts whose weights are far from zero, so that it changes a lot."""

    from peft import PeftModel

    from dvl2_cli.finetuning.adapter import add_adapter
    from dvl2_cli.finetuning.export import write_adapter
    from dvl2_cli.finetuning.recipe import Lora
    from tests import golden_data as golden

    model = copy.deepcopy(golden.model("mla"))
    adapted: PeftModel = add_adapter(model, Lora(4, experts=True), TINY)
    torch.manual_seed(0)
    weights = {
        name: 0.1 * torch.randn_like(value)
        for name, value in model.state_dict().items()
        if ".lora_" in name
    }
    folder = tmp_path_factory.mktemp("adapter") / "adapter"
    write_adapter(folder, adapted, weights)
    return folder


def _logits(folder: Path, adapter: Path | None = None, dtype: Any = None) -> Tensor:
    loaded = load_model(folder, adapter=None if adapter is None else str(adapter), dtype=dtype)
    prompt = DeepseekVLV2Processor.from_pretrained(folder)(
        images=[Image.new("RGB", (100, 80), "red")],
        conversations=[
            {"role": "<|User|>", "content": "<image>\nWhat is it?"},
            {"role": "<|Assistant|>", "content": ""},
        ],
    )
    model = loaded.model
    with torch.no_grad():
        columns, rows = prompt["images_spatial_crop"][0, 0].tolist()
        features = model.assemble(model.encode_tiles(prompt["pixel_values"][0]), columns, rows)
        embeds = model.embed(prompt["input_ids"], [features], prompt["images_seq_mask"])
        return model.language.read(embeds, GrowingCache(), embeds.shape[1])


def test_an_adapter_answers_as_its_merged_checkpoint(random_adapter: Path, tmp_path: Path) -> None:
    merged = tmp_path / "merged"
    write_merged(merged, TINY, random_adapter)
    plain, laid = _logits(TINY), _logits(TINY, random_adapter)
    assert torch.equal(laid, _logits(merged))
    assert (plain - laid).abs().max() > 0.1
    names = {part.name for part in merged.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "processor_config.json"} <= names
    kept = load_file(merged / "model.safetensors")
    assert {value.dtype for value in kept.values()} == {torch.bfloat16}


def test_an_adapter_reaches_what_peft_itself_computes(random_adapter: Path) -> None:
    """Merged by us in float32, or beside the weights as peft runs it."""
    from peft import PeftModel

    base = DeepseekVLV2ForCausalLM.from_pretrained(TINY, dtype=torch.float32)
    with quiet_peft():
        beside: Any = PeftModel.from_pretrained(base, str(random_adapter))
    ids = torch.arange(5, 40)[None]
    with torch.no_grad():
        wanted = beside(input_ids=ids).logits
        found = load_model(TINY, adapter=str(random_adapter), dtype=torch.float32).model(
            input_ids=ids
        )
    assert torch.allclose(wanted, found.logits, atol=1e-4)


def test_only_the_adapter_is_trained_saved_and_resumed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    recipe = recipe_for(data, lora=4, learning_rate=1e-2, steps=4, save_every=2)
    result = train(recipe, options(out))
    assert result == out / "adapter"
    state = load_file(states(out)[-1] / NETWORK)
    assert state
    assert all(".lora_" in name for name in state)
    assert not any(".experts." in name for name in state)
    assert any(".shared_experts." in name for name in state)
    saved = load_file(result / "adapter_model.safetensors")
    assert len(saved) == len(state)

    before = read_log(out / "log.jsonl")
    shutil.rmtree(states(out)[-1])
    train(recipe, options(out))
    after = read_log(out / "log.jsonl")
    assert [(r["total"], r["loss"]) for r in before] == [(r["total"], r["loss"]) for r in after]
    again = load_file(result / "adapter_model.safetensors")
    assert all(torch.equal(saved[name], again[name]) for name in saved)


def test_routed_experts_are_adapted_on_request(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(recipe_for(data, lora=2, experts=True, steps=1), options(out))
    assert any(".experts." in name for name in load_file(states(out)[-1] / NETWORK))


@pytest.mark.slow
def test_two_rows_are_learnt_by_an_adapter(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    said = {"lora": 8, "learning_rate": 1e-2, "steps": 30, "held_out": data}
    result = train(recipe_for(data, **said), options(out))
    measured = [r for r in read_log(out / "log.jsonl") if r["kind"] == "held out"]
    assert measured[-1]["right"] == 1.0
    loaded = load_model(base_of(result), adapter=str(result), dtype=torch.float32)
    answers = [_answer(loaded, data.parent / name) for name in ("red.png", "blue.png")]
    assert answers[0].strip() == "a red box"
    assert answers[1].strip() == "<|ref|>a box<|/ref|><|det|>[[200, 250, 699, 749]]<|/det|>"


def _answer(loaded: LoadedModel, picture: Path) -> str:
    question = "What is it?" if picture.stem == "red" else "Where is it?"
    with Image.open(picture) as opened:
        message = Message("user", question, (opened.convert("RGB"),))
    info = ModelInfo("run", None, "none", "cpu", loaded.context_length, False, "")
    sampling = Sampling(temperature=0.0, max_new_tokens=40)
    *_, answer = LocalEngine(loaded, info).stream(Request((message,), sampling))
    assert isinstance(answer, Finished)
    return answer.raw


@pytest.mark.slow
def test_a_whole_model_learns_two_rows_and_is_written_as_it_came(
    data: Path, tmp_path: Path
) -> None:
    said = {"learning_rate": 5e-3, "steps": 20, "pack": True}
    result = train(recipe_for(data, **said), options(tmp_path / "run"))
    record = read_log(tmp_path / "run" / "log.jsonl")[-1]
    right: Any = record["right"]
    assert right["language"] == 1.0
    weights = load_file(result / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.bfloat16}
    assert _answer(load_model(result, dtype=torch.float32), data.parent / "red.png") == "a red box"


def test_an_adapter_for_another_model_is_refused(random_adapter: Path) -> None:
    with pytest.raises(ModelError, match="does not fit"):
        load_model(ROOT / "checkpoints" / "mha", adapter=str(random_adapter))


def test_another_run_is_not_continued(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(recipe_for(data, lora=2, steps=1), options(out))
    with pytest.raises(UsageError, match="other LoRA settings"):
        train(recipe_for(data, lora=4, steps=2), options(out))
    row = json.loads(data.read_text("utf-8").splitlines()[0])
    data.write_text(json.dumps(row) + "\n", "utf-8")
    with pytest.raises(UsageError, match="other data"):
        train(recipe_for(data, lora=2, steps=2), options(out))


def test_a_whole_model_keeps_the_policy_of_its_base(data: Path, tmp_path: Path) -> None:
    base, policy = tmp_path / "base", Policy(refine_boxes=True, doubt_threshold=0.1)
    shutil.copytree(TINY, base)
    write_policy(base, policy)
    given = {"model": str(base), "steps": 1}
    result = train(recipe_for(data, **given), options(tmp_path / "run"))
    assert read_policy(result) == policy
