"""The policy of a checkpoint: plain where nothing is said, refused where it is wrong."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from dvl2_cli.errors import ModelError
from dvl2_cli.quantizing.conversion import copy_companions
from dvl2_cli.store.checkpoint import examine
from dvl2_cli.store.places import nano_folder
from dvl2_cli.store.policy import FILE_NAME, PLAIN_POLICY, Policy, read_policy, write_policy


def test_a_released_folder_has_the_plain_policy(tmp_path: Path) -> None:
    assert read_policy(tmp_path) == PLAIN_POLICY == Policy()
    assert (PLAIN_POLICY.reads, PLAIN_POLICY.print_height) == ("pages", None)
    assert (PLAIN_POLICY.refine_boxes, PLAIN_POLICY.count_by_boxes) == (False, False)
    assert PLAIN_POLICY.doubt_threshold is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("reads", "lines"), ("print_height", 26), ("refine_boxes", True), ("count_by_boxes", True),
     ("doubt_threshold", 0.02)],
)  # fmt: skip
def test_each_field_stands_by_itself(name: str, value: Any, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(json.dumps({name: value}))
    policy = read_policy(tmp_path)
    changed = [
        f.name for f in fields(Policy) if getattr(policy, f.name) != getattr(Policy(), f.name)
    ]
    assert changed == [name]
    write_policy(tmp_path, policy)
    assert read_policy(tmp_path) == policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"reads": "words"}', '"pages" or "lines"'),
        ('{"print_height": 0}', "positive number below 384"),
        ('{"print_height": 4000}', "positive number below 384"),
        ('{"doubt_threshold": true}', "positive number, or null"),
        ('{"doubt_threshold": NaN}', "positive number, or null"),
        ('{"refine_boxes": 1}', "true or false"),
        ('{"refine_box": true}', "'refine_box'"),
        ("[]", "JSON object"),
        ("{", "not valid JSON"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    with pytest.raises(ModelError) as caught:
        read_policy(tmp_path)
    assert said in caught.value.message
    assert FILE_NAME in caught.value.message


def test_a_plain_policy_leaves_no_file(tmp_path: Path) -> None:
    write_policy(tmp_path, PLAIN_POLICY)
    assert not list(tmp_path.iterdir())


def test_a_chosen_zoom_gets_a_plain_answer() -> None:
    policy = Policy(reads="lines", refine_boxes=True)
    assert policy.at_zoom(None) == policy.at_zoom("auto") == policy
    assert policy.at_zoom(1.0) == PLAIN_POLICY


def test_nano_has_a_policy_and_its_copies_carry_it(tmp_path: Path) -> None:
    nano = nano_folder()
    assert nano is not None
    policy = read_policy(nano)
    assert policy != PLAIN_POLICY
    copy_companions(nano, tmp_path)
    assert read_policy(tmp_path) == policy


def test_a_faulty_policy_is_a_fault_of_the_checkpoint(tmp_path: Path) -> None:
    nano = nano_folder()
    assert nano is not None
    shutil.copytree(nano, tmp_path, dirs_exist_ok=True)
    (tmp_path / FILE_NAME).write_text('{"reads": 3}')
    info, problems = examine(tmp_path)
    assert info is not None
    assert info.policy == PLAIN_POLICY
    assert [FILE_NAME in problem.message for problem in problems] == [True]
