"""Who may import whom, and that torch stays out of everything that must answer at once."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.metadata
import importlib.util
import itertools
import json
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dvl2_cli.app import COMMANDS
from dvl2_cli.engine.remote.places import socket_path
from dvl2_cli.server.daemon import Daemon
from dvl2_cli.store.policy import Policy
from tests.fakes import FakeEngine
from tests.inputs.pdfs import LETTER, lines_of, text_document

ROOT = Path(__file__).parents[1]
CLI = ROOT / "dvl2_cli"
NETWORK = ROOT / "models" / "deepseek_vl_v2"

HEAVY = {"torch", "transformers", "accelerate", "bitsandbytes", "peft", "matplotlib"}
HEAVY |= {"deepseek_vl_v2", "safetensors", "tokenizers", "pyarrow", "jiwer"}
# Pure Python, though of the network's package.
LIGHT = {"deepseek_vl_v2.format"}
# What nobody waits for who only asks a warm model, or asks nothing.
HEAVY_MODEL = {"torch", "transformers", "accelerate", "bitsandbytes", "peft"}
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


def importers(files: list[Path], packages: tuple[str, ...] | set[str]) -> dict[str, list[str]]:
    """The files that import one of ``packages`` anywhere, each with what it imports of them."""
    found = {
        path.relative_to(ROOT).as_posix(): [
            name for name, _ in imports(path) if within(name, packages)
        ]
        for path in files
    }
    return {path: names for path, names in found.items() if names}


# One test walks all files: a test for each file took minutes, and named no more.
def test_nothing_heavy_at_module_level() -> None:
    heavy = HEAVY | set(NETWORK_PARTS)
    found = {
        part_of(path): names
        for path in sources(CLI)
        if not may_be_heavy(path)
        and (
            names := [
                name
                for name, at_top in imports(path)
                if at_top and within(name, heavy) and not within(name, LIGHT)
            ]
        )
    }
    assert not found


def test_pure_parts_never_reach_the_network() -> None:
    files = [path for part in PURE for path in sources(CLI / part)]
    files += [CLI / name for name in PURE_FILES]
    forbidden = {"torch", "transformers", "accelerate", "deepseek_vl_v2"} | set(NETWORK_PARTS)
    found = {
        path: reached
        for path, names in importers(files, forbidden).items()
        if (reached := [name for name in names if not within(name, LIGHT)])
    }
    assert not found


def test_parts_do_not_import_commands() -> None:
    files = [path for part in PURE for path in sources(CLI / part)]
    assert not importers(files, {"dvl2_cli.commands"})


def test_the_engine_knows_no_command() -> None:
    assert not importers(sources(CLI / "engine"), {"dvl2_cli.commands"})


def test_ui_knows_no_store() -> None:
    assert not importers(sources(CLI / "ui"), {"dvl2_cli.store"})


def test_the_network_does_not_know_the_command_line() -> None:
    assert not importers(sources(NETWORK), {"dvl2_cli"})


def test_nothing_knows_the_lab_of_nano() -> None:
    assert not importers(sources(CLI) + sources(NETWORK), {"nano_lab"})


def test_nothing_that_runs_foreign_code() -> None:
    files = sources(CLI) + sources(NETWORK)
    assert not importers(files, {"pickle", "marshal", "shelve"})
    forbidden = {"eval", "exec", "torch.load", "compile", "os.system"}
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in forbidden, f"{path}: {called}"
            if isinstance(node, ast.keyword):
                assert node.arg != "trust_remote_code", path


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


# Which parts of dvl2 a part may know, types included. What is not listed may know everything.
_BASE = {
    "errors",
    "files",
    "locks",
    "plain_file",
    "folders",
    "packages",
    "user_folders",
    "retrying",
    "row",
    "sizes",
    "texts",
    "units",
    "urls",
}
_MODEL = _BASE | {"store", "planning"}
_ENGINE = _MODEL | {"engine", "settings", "setting_values", "options", "prompts"}
_TASKS = _ENGINE | {"tasks", "results", "inputs", "retrieval", "schema"}
ARROWS: dict[str, set[str]] = {
    "store": _BASE | {"store"},
    "planning": _MODEL,
    "engine": _ENGINE,
    "results": _BASE | {"results", "engine", "inputs", "settings", "store", "schema"},
    "inputs": _BASE | {"inputs"},
    "retrieval": _BASE | {"retrieval"},
    "tasks": _TASKS,
    "writers": _TASKS | {"writers"},
    "history": _BASE | {"history", "inputs", "engine"},
    "ui": _BASE | {"ui", "engine", "options", "results"},
    "server": _TASKS | {"server"},
    "evaluation": _TASKS | {"evaluation", "conversations", "figures", "ordered", "ui"},
}
# Of the engine, ui knows plain events only.
UI_ENGINE = {"dvl2_cli.engine.events"}


@functools.cache
def graph() -> dict[str, set[str]]:
    """Every module of the product and the modules that it names, type checking included."""
    named = {name_of(path): path for path in sources(CLI) + sources(NETWORK)}
    found: dict[str, set[str]] = {}
    for name, path in named.items():
        known: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                known |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names} & named.keys()
                known |= inner or {node.module}
        # The roots name their parts for whoever imports them; nothing stands below them.
        found[name] = known & named.keys() - {name, "dvl2_cli", "deepseek_vl_v2"}
    return found


def name_of(path: Path) -> str:
    """The module in ``path``."""
    root = CLI.parent if path.is_relative_to(CLI) else NETWORK.parent
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(module: str) -> str:
    """The folder, or the module beside the folders, that ``module`` is in."""
    return ".".join(module.split(".")[:2])


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """What is left when everything that knows nobody, or whom nobody knows, is taken away."""
    left = {name: set(known) for name, known in edges.items()}
    while True:
        known = set().union(*left.values()) if left else set()
        kept = {name: item & left.keys() for name, item in left.items() if item and name in known}
        kept = {name: item & kept.keys() for name, item in kept.items()}
        if kept == left:
            return [[name, *sorted(item)] for name, item in sorted(kept.items())]
        left = kept


def test_circles_are_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}) == [["a", "b"], ["b", "a"]]


def test_no_circle_of_modules() -> None:
    assert circles(graph()) == []


def test_no_circle_of_packages() -> None:
    packages: dict[str, set[str]] = {}
    for module, known in graph().items():
        own = package_of(module)
        packages.setdefault(own, set()).update({package_of(item) for item in known} - {own})
    assert circles(packages) == []


@pytest.mark.parametrize("part", ARROWS)
def test_arrows(part: str) -> None:
    modules = [name for name in graph() if within(name, {f"dvl2_cli.{part}"})]
    assert modules
    allowed = {f"dvl2_cli.{name}" for name in ARROWS[part]} | {"deepseek_vl_v2"}
    wrong = [
        (name, item) for name in modules for item in graph()[name] if not within(item, allowed)
    ]
    if part == "ui":
        engine = [(name, item) for name in modules for item in graph()[name] if ".engine" in item]
        wrong += [pair for pair in engine if pair[1] not in UI_ENGINE]
    assert wrong == []


def test_nothing_below_prints() -> None:
    """Engine and store tell by events or callbacks."""
    for path in sources(CLI / "engine") + sources(CLI / "store") + sources(CLI / "tasks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            printed = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
            assert not printed, path


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


def run_by(arguments: list[str], before: str = "") -> set[str]:
    """The packages that ``dvl2 ARGUMENTS`` loads, with ``before`` run in the same interpreter."""
    return loaded_by(
        "import contextlib, io, sys\n"
        f"{before}\n"
        f"sys.argv = ['dvl2', *{arguments!r}]\n"
        "from dvl2_cli.app import main\n"
        "shown = io.TextIOWrapper(io.BytesIO())\n"
        "with contextlib.redirect_stdout(shown):\n"
        "    try:\n"
        "        main()\n"
        "    except SystemExit as error:\n"
        "        assert not error.code, error.code\n"
        "shown.flush()\n"
        "assert shown.buffer.getvalue()"
    )


def test_a_dry_run_loads_no_torch() -> None:
    picture = str(ROOT / "examples" / "pictures" / "letter.png")
    assert not run_by(["caption", picture, "--dry-run", "-q"]) & HEAVY_MODEL


@pytest.mark.parametrize(
    "arguments",
    [["ocr"], ["ground", "a car"], ["caption"], ["chat", "-p", "How many cars are there?"]],
)
def test_a_warm_client_loads_no_torch(arguments: list[str]) -> None:
    from dvl2_cli.engine.session import Session
    from dvl2_cli.settings import Settings

    engine = FakeEngine("some text")
    policy = Policy("lines", 26.0, refine_boxes=True, count_by_boxes=True, doubt_threshold=0.02)
    engine.info = dataclasses.replace(engine.info, policy=policy)
    key = Session(settings=Settings(model="nano")).key
    daemon = Daemon(engine, key, socket_path(key), idle_seconds=60)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: daemon.run(ready.set))
    thread.start()
    try:
        assert ready.wait(30)
        command, *rest = arguments
        picture = str(ROOT / "examples" / "pictures" / "letter.png")
        loaded = run_by([command, picture, *rest, "-m", "nano", "-q"])
    finally:
        daemon.stop()
        thread.join(30)
    assert engine.requests
    assert not loaded & HEAVY_MODEL


def test_no_class_name_has_two_meanings() -> None:
    """Who greps for a name finds one class; private ones count, for readers grep for them too."""
    places: dict[str, list[str]] = {}
    for path in sources(CLI) + sources(NETWORK):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(path.relative_to(ROOT).as_posix())
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_the_engine_answers_without_transformers() -> None:
    """Nor is torch's compiler imported, which takes longer than torch."""
    code = (
        "from pathlib import Path\n"
        "from PIL import Image\n"
        "from dvl2_cli.engine.engine import ModelInfo\n"
        "from dvl2_cli.engine.local.engine import LocalEngine\n"
        "from dvl2_cli.engine.local.loading import load_model\n"
        "from dvl2_cli.engine.request import Constraint, Message, Request, Sampling\n"
        f"loaded = load_model(Path({str(ROOT / 'models' / 'dvl2_nano')!r}))\n"
        "info = ModelInfo('nano', None, 'none', 'cpu', loaded.context_length, True, '')\n"
        "picture = Image.new('RGB', (100, 80), 'red')\n"
        "sampling = Sampling(temperature=0.5, max_new_tokens=3)\n"
        "grammar = Constraint('regex', '[a-z]+')\n"
        "message = Message('user', 'What is it?', (picture,))\n"
        "request = Request((message,), sampling, constraint=grammar)\n"
        "*_, answer = LocalEngine(loaded, info).stream(request)\n"
        "assert answer.usage.completion_tokens > 0\n"
        "import sys; assert 'torch._dynamo' not in sys.modules"
    )
    assert not loaded_by(code) & {"transformers", "accelerate", "sympy", "peft"}


def test_a_plan_needs_no_torch(tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    run = (
        "import sys\n"
        "from PIL import Image\n"
        f"Image.new('RGB', (100, 80)).save({str(picture)!r})\n"
        "from dvl2_cli.app import main\n"
        f"sys.argv = ['dvl2', {{}}, {str(picture)!r}]\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print()"
    )
    for arguments in (
        "'ocr', '--plan', '-m', 'nano'",
        "'caption', '--plan', '-m', 'nano'",
        "'ground', '--plan', '-m', 'nano', '--caption'",
        "'chat', '--plan', '-m', 'nano', '-p', 'What is it?'",
        "'caption', '--dry-run', '-m', 'nano'",
    ):
        assert not loaded_by(run.format(arguments)) & HEAVY_MODEL, arguments


def test_a_run_with_nothing_to_do_loads_no_torch(tmp_path: Path) -> None:
    """All captions are there already, or all pages have a text layer."""
    from PIL import Image

    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a caption", encoding="utf-8")
    words = ["caption", str(tmp_path), "--sidecar", ".txt", "--existing", "skip", "-m", "nano"]
    assert not run_by(words) & HEAVY_MODEL
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "a caption"
    document = tmp_path / "letter.pdf"
    document.write_bytes(text_document(lines_of(*LETTER)))
    assert not run_by(["ocr", str(document), "--dpi", "60", "-m", "nano"]) & HEAVY_MODEL
