"""Every command line in the documentation is one that dvl2 takes; no model is run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from dvl2_cli.app import COMMANDS, load_command
from dvl2_cli.chatting.question import preset_names
from dvl2_cli.completing import _FORMATS
from dvl2_cli.settings import RULES
from dvl2_cli.topics import NAMES
from dvl2_cli.writers.caption_sidecar import EXISTING
from tests.docs.shell import code_of, dvl2_calls, jq_programs

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))),
    "benchmarks/README.md",
    "examples/pictures/README.md",
    "models/dvl2_nano/README.md",
)
# Fewer would mean that the blocks are no longer found.
MIN_CALLS = {"README.md": 8, "docs/tour.md": 20, "docs/recipes.md": 40, "docs/training.md": 8}
# Values that a command checks itself, after its options were parsed.
VALUES = {
    "preset": preset_names(),
    "existing": EXISTING,
    "length": ("short", "normal", "long"),
    "boxes": ("none", "model", "rapidocr"),
    "quant": RULES["quant"].choices,
    "to": ("int4", "int8", "nf4"),
}
# Members of files in the formats of other programs.
FOREIGN = {"image"}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def check(call: list[str], *, complete: bool) -> None:
    """Raise what click raises for a wrong call; arguments may lack where not ``complete``."""
    name, *words = call
    assert name in COMMANDS, f"dvl2 {name}"
    if "--help" in words:
        return
    command = load_command(name, COMMANDS[name][0])
    context = command.make_context(name, words, resilient_parsing=not complete)
    given = context.params
    for option, allowed in VALUES.items():
        value = given.get(option)
        is_variable = str(value).startswith("$")
        assert value is None or value in allowed or is_variable, f"--{option} {value}"
    form = given.get("form")
    assert form is None or form in _FORMATS[name], f"-f {form}"
    if name == "config" and given["name"] is not None:
        assert given["name"] in RULES or given["name"].isupper(), given["name"]
    if name == "help" and words:
        assert words[0] in {*NAMES, *COMMANDS} or words[0].isupper(), words[0]


@pytest.mark.parametrize("page", PAGES)
def test_calls_in_code_are_complete_and_right(page: str) -> None:
    calls = [call for block in code_of(read(page)).blocks for call in dvl2_calls(block)]
    for call in calls:
        if call and not call[0].startswith("-"):
            check(call, complete=True)
    assert len(calls) >= MIN_CALLS.get(page, 0)


@pytest.mark.parametrize("page", PAGES)
def test_mentions_in_sentences_name_what_exists(page: str) -> None:
    for mention in code_of(read(page)).mentions:
        if re.match(r"dvl2 [a-z]", mention):
            for call in dvl2_calls(mention):
                check(call, complete=False)


def members(schema: object) -> set[str]:
    """The names of all properties in a JSON Schema, however deep."""
    if isinstance(schema, list):
        return set().union(*map(members, schema))
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties")
    names = set(own) if isinstance(own, dict) else set()
    return names.union(*map(members, schema.values()))


@pytest.mark.parametrize("page", PAGES)
def test_paths_of_jq_are_in_the_schemas(page: str) -> None:
    schemas = (ROOT / "docs" / "schemas").glob("*.json")
    known = FOREIGN.union(*(members(json.loads(path.read_text("utf-8"))) for path in schemas))
    # What --fields and --schema ask for is a member too.
    asked = re.findall(r"--(?:fields (\S+)|schema '([^']+)')", read(page))
    known |= set(re.findall(r"\w+", str(asked)))
    for block in code_of(read(page)).blocks:
        for program in jq_programs(block):
            for name in re.findall(r"\.([A-Za-z_]\w*)", program):
                assert name in known, f"{page}: .{name} in {program}"


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)\)", read(page)):
        if not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize(
    "line",
    [
        "dvl2 orc a.png",
        "dvl2 ocr a.png --feilds total",
        "dvl2 ocr -f md",
        "dvl2 ocr a.png --dpi 5",
        "dvl2 chat a.png --preset tabel",
        "dvl2 caption a -f coco",
        "dvl2 config set modle tiny",
        "find . | xargs -0 dvl2 ocr --nope",
        "if true; then dvl2 pull; fi",
    ],
)
def test_what_is_wrong_is_found(line: str) -> None:
    (call,) = dvl2_calls(line)
    with pytest.raises(Exception, match=r"\w"):
        check(call, complete=True)


def test_calls_are_found_where_shells_have_them() -> None:
    text = """\
    # dvl2 in a remark isn't a call
    find p -print0 | xargs -0 -P 2 dvl2 ocr -f md   # what's left
    for f in *.png; do dvl2 ground "$f" 'a dog' --draw 2> log; done
    if ! dvl2 doctor --json > report; then exit 1; fi
    dvl2 caption photos -r \\
        --sidecar .txt && echo done
    torchrun -m dvl2_cli train data.jsonl
    """
    assert list(dvl2_calls(text)) == [
        ["ocr", "-f", "md", "FILE"],
        ["ground", "$f", "a dog", "--draw"],
        ["doctor", "--json"],
        ["caption", "photos", "-r", "--sidecar", ".txt"],
        ["train", "data.jsonl"],
    ]


def test_programs_of_jq_are_found() -> None:
    text = "dvl2 ls --json | jq -r --arg a b --rawfile c d '.name\n | .id' | jq -e .x; grep -r '' ."
    assert list(jq_programs(text)) == [".name\n | .id", ".x"]
