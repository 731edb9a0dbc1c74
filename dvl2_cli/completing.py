"""What the shell may complete: models, settings and their values, formats, topics.

Each function takes the beginning of a word and gives (word, help) pairs. Nothing is printed
and nothing raised: a shell shows both in the middle of the line that is being typed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable

import typer

from dvl2_cli.errors import Dvl2Error
from dvl2_cli.settings import RULES

Words = list[tuple[str, str]]

_FORMATS = {
    "ocr": ("text", "md", "json", "html", "tsv", "csv", "hocr", "alto", "pdf"),
    "ground": ("text", "json", "coco", "yolo", "voc", "labelstudio", "labelme", "csv"),
    "caption": ("text", "ndjson", "csv", "parquet"),
}


def local_models(incomplete: str) -> Words:
    """The models on this machine."""
    from dvl2_cli.store.inventory import all_copies

    found: dict[str, list[str]] = {}
    with contextlib.suppress(Dvl2Error, OSError):
        for copy in all_copies():
            found.setdefault(copy.name, []).append(copy.quant)
    return _starting(incomplete, ((name, ", ".join(quants)) for name, quants in found.items()))


def pulled_models(incomplete: str) -> Words:
    """The models that ``dvl2 rm`` can delete."""
    return [(name, text) for name, text in local_models(incomplete) if name != "nano"]


def released_models(incomplete: str) -> Words:
    """The short names that ``dvl2 pull`` knows."""
    from dvl2_cli.store.names import RELEASED

    return _starting(incomplete, RELEASED.items())


def quants(incomplete: str) -> Words:
    """Weight formats."""
    return _starting(incomplete, ((name, "") for name in RULES["quant"].choices))


def devices(incomplete: str) -> Words:
    """Devices."""
    return _starting(incomplete, ((name, "") for name in ("auto", "cpu", "cuda", "mps")))


def settings(incomplete: str) -> Words:
    """Names of settings."""
    return _starting(incomplete, ((name, rule.help) for name, rule in RULES.items()))


def setting_values(ctx: typer.Context, incomplete: str) -> Words:
    """Values of the setting that was typed before."""
    name = ctx.params.get("name")
    rule = RULES.get(str(name))
    if name == "model":
        return local_models(incomplete)
    if name == "device":
        return devices(incomplete)
    if rule is None:
        return []
    choices = ("true", "false") if rule.kind is bool else rule.choices
    return _starting(incomplete, ((choice, "") for choice in choices))


def topics(incomplete: str) -> Words:
    """Topics and commands that ``dvl2 help`` explains."""
    from dvl2_cli.command_table import COMMANDS
    from dvl2_cli.topics import all_topics

    found = [(topic.name, topic.summary) for topic in all_topics()]
    found += [(name, summary) for name, (_, summary, _) in COMMANDS.items()]
    return _starting(incomplete, found)


def formats(ctx: typer.Context, incomplete: str) -> Words:
    """Formats of the command at hand, those of plugins included."""
    from importlib.metadata import entry_points

    command = ctx.info_name or ""
    known = [(name, "") for name in _FORMATS.get(command, ())]
    points = entry_points(group="dvl2.writers")
    known += [(point.name, f"plugin {point.value}") for point in points]
    return _starting(incomplete, known)


def shapes(incomplete: str) -> Words:
    """Shapes of random weights for ``dvl2 bench``."""
    from dvl2_cli.planning.released import NAMES

    return _starting(incomplete, ((name, "") for name in NAMES))


def complete_at_first_tab() -> None:
    """Let zsh complete at the first Tab.

    zsh runs the file that typer installs as a function. At the first Tab that only names another
    function, which answers from the second on.
    """
    from typer import _completion_classes, _completion_shared

    names = "compdef %(complete_func)s %(prog_name)s"
    script = _completion_shared.COMPLETION_SCRIPT_ZSH.replace(
        f"\n{names}",
        f'\nif [ "$funcstack[1]" = "_%(prog_name)s" ]; then\n  %(complete_func)s "$@"\n'
        f"else\n  {names}\nfi",
    )
    # What --show-completion and --install-completion write, and what _DVL2_COMPLETE prints.
    _completion_shared._completion_scripts["zsh"] = script
    _completion_classes.ZshComplete.source_template = script


def _starting(incomplete: str, words: Iterable[tuple[str, str]]) -> Words:
    return [(word, text) for word, text in words if word.startswith(incomplete)]
