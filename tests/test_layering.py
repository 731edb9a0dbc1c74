"""Who may import whom, and that torch stays out of everything that must answer at once."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvl2_cli.app import COMMANDS

ROOT = Path(__file__).parents[1]
CLI = ROOT / "dvl2_cli"
NETWORK = ROOT / "models" / "deepseek_vl_v2"

HEAVY = {"torch", "transformers", "accelerate", "bitsandbytes", "peft", "matplotlib"}
HEAVY |= {"deepseek_vl_v2", "safetensors", "tokenizers", "pyarrow", "jiwer"}
# Pure Python, though of the network's package.
LIGHT = {"deepseek_vl_v2.format"}
# Parts that run the network; only imported inside functions of the others.
MAY_BE_HEAVY = ("engine/local", "finetuning", "quantizing", "evaluation", "benchmarking")
# Parts that never touch a model, not even inside a function.
PURE = (
    "ui",
    "inputs",
    "results",
    "writers",
    "tasks/grounding",
    "store",
    "planning",
    "history",
    "tasks/captioning",
)
PURE_FILES = (
    "errors.py",
    "files.py",
    "options.py",
    "prompts.py",
    "settings.py",
    "app.py",
    "completing.py",
)
# What the pure parts may not reach, at any depth of the code.
NETWORK_PARTS = tuple(f"dvl2_cli.{part.replace('/', '.')}" for part in MAY_BE_HEAVY)


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


@functools.cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Every module that ``path`` imports at run time, and whether at module level."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(_imports(tree, at_top=True))


def _imports(node: ast.AST, *, at_top: bool) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from ((alias.name, at_top) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, "imports are absolute"
            module = child.module or ""
            yield module, at_top
            yield from ((f"{module}.{alias.name}", at_top) for alias in child.names)
        inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(child, at_top=at_top and not inside)


def within(module: str, packages: tuple[str, ...] | set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def part_of(path: Path) -> str:
    return path.relative_to(CLI).as_posix()


def may_be_heavy(path: Path) -> bool:
    return part_of(path).startswith(tuple(f"{part}/" for part in MAY_BE_HEAVY))


@pytest.mark.parametrize("path", sources(CLI), ids=part_of)
def test_nothing_heavy_at_module_level(path: Path) -> None:
    if may_be_heavy(path):
        return
    heavy = [
        module
        for module, at_top in imports(path)
        if at_top and within(module, HEAVY) and not within(module, LIGHT)
    ]
    assert not heavy
    parts = [name for name, at_top in imports(path) if at_top and within(name, NETWORK_PARTS)]
    assert not parts


@pytest.mark.parametrize(
    "path",
    [path for part in PURE for path in sources(CLI / part)] + [CLI / name for name in PURE_FILES],
    ids=part_of,
)
def test_pure_parts_never_reach_the_network(path: Path) -> None:
    forbidden = {"torch", "transformers", "accelerate", "deepseek_vl_v2"} | set(NETWORK_PARTS)
    reached = [name for name, _ in imports(path) if within(name, forbidden)]
    assert not [name for name in reached if not within(name, LIGHT)]


@pytest.mark.parametrize(
    "path", [path for part in PURE for path in sources(CLI / part)], ids=part_of
)
def test_parts_do_not_import_commands(path: Path) -> None:
    assert not [name for name, _ in imports(path) if within(name, {"dvl2_cli.commands"})]


@pytest.mark.parametrize("path", sources(CLI / "engine"), ids=part_of)
def test_the_engine_knows_no_command(path: Path) -> None:
    assert not [name for name, _ in imports(path) if within(name, {"dvl2_cli.commands"})]


@pytest.mark.parametrize("path", sources(CLI / "ui"), ids=part_of)
def test_ui_knows_no_store(path: Path) -> None:
    assert not [name for name, _ in imports(path) if within(name, {"dvl2_cli.store"})]


@pytest.mark.parametrize("path", sources(NETWORK), ids=lambda path: path.name)
def test_the_network_does_not_know_the_command_line(path: Path) -> None:
    assert not [name for name, _ in imports(path) if within(name, {"dvl2_cli"})]


@pytest.mark.parametrize("path", sources(CLI) + sources(NETWORK), ids=lambda path: path.name)
def test_nothing_knows_the_lab_of_nano(path: Path) -> None:
    assert not [name for name, _ in imports(path) if within(name, {"nano_lab"})]


@pytest.mark.parametrize("path", sources(CLI) + sources(NETWORK), ids=lambda path: path.name)
def test_nothing_that_runs_foreign_code(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [name for name, _ in imports(path) if within(name, {"pickle", "marshal", "shelve"})]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"eval", "exec", "torch.load", "compile", "os.system"}, called
        if isinstance(node, ast.keyword):
            assert node.arg != "trust_remote_code"


def test_every_import_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *itertools.chain(*project["optional-dependencies"].values()),
    ]
    declared = {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in wanted}
    distributions = importlib.metadata.packages_distributions()
    undeclared = set()
    for path in sources(CLI) + sources(NETWORK):
        for module, _ in imports(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top in ("dvl2_cli", "deepseek_vl_v2"):
                continue
            names = {name.lower().replace("_", "-") for name in distributions.get(top, [top])}
            if not names & declared:
                undeclared.add((path.name, top))
    assert not undeclared


def loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after running ``code``."""
    report = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, timeout=600, check=True
    )
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_the_format_is_pure_python() -> None:
    modules = [f"deepseek_vl_v2.format.{path.stem}" for path in sources(NETWORK / "format")]
    code = "\n".join(f"import {name.removesuffix('.__init__')}" for name in modules)
    assert len(modules) > 5
    assert not loaded_by(code) & (HEAVY - {"deepseek_vl_v2"})


@pytest.mark.parametrize(
    "imported",
    [
        "import deepseek_vl_v2; from transformers import AutoConfig",
        "import transformers; import deepseek_vl_v2",
        "from deepseek_vl_v2 import DeepseekVLV2Processor; import transformers",
    ],
)
def test_importing_the_package_registers_its_classes(imported: str) -> None:
    folder = ROOT / "tests" / "golden" / "checkpoints" / "mha"
    code = (
        f"{imported}\n"
        "from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor\n"
        f"config = AutoConfig.from_pretrained({str(folder)!r})\n"
        "model = AutoModelForImageTextToText.from_config(config)\n"
        f"processor = AutoProcessor.from_pretrained({str(folder)!r})\n"
        "assert type(model).__name__ == 'DeepseekVLV2ForCausalLM'\n"
        "assert type(processor).__name__ == 'DeepseekVLV2Processor'"
    )
    assert "deepseek_vl_v2" in loaded_by(code)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import contextlib, io, sys\n"
        "sys.argv = ['dvl2', '--help']\n"
        "from dvl2_cli.app import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    main()\n"
        "assert 'chat' in out.getvalue()"
    )
    assert not loaded_by(code) & (HEAVY | {"numpy", "PIL", "huggingface_hub", "prompt_toolkit"})


def test_command_modules_load_nothing_heavy() -> None:
    """One interpreter imports every command module that exists."""
    modules = [module for module, _, _ in COMMANDS.values() if importlib.util.find_spec(module)]
    assert modules
    code = "\n".join(f"import {module}" for module in modules)
    assert not loaded_by(code) & ((HEAVY | {"numpy", "huggingface_hub"}) - {"deepseek_vl_v2"})


def test_every_command_of_the_table_exists() -> None:
    missing = [
        name for name, (module, _, _) in COMMANDS.items() if not importlib.util.find_spec(module)
    ]
    assert not missing
