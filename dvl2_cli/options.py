"""The options that every model-running command shares."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from dvl2_cli import completing
from dvl2_cli.errors import UsageError

_MODEL = "Model"
_OUTPUT = "Output"


# The options of commands that read folders and documents.
ExcludeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude",
        metavar="GLOB",
        help="Leave out matching names or paths. Give it again for more.",
    ),
]
SchemaLenientOption = Annotated[
    bool,
    typer.Option("--schema-lenient", help="Keep JSON that breaks --schema, with a warning."),
]
PasswordOption = Annotated[
    str | None,
    typer.Option(
        "--password",
        help="Password of protected PDFs. Other users can see it; the variable hides it.",
        envvar="DVL2_PDF_PASSWORD",
    ),
]
AUTO = "auto"
ParallelOption = Annotated[
    str,
    typer.Option(
        "--parallel",
        metavar="N|auto",
        help="Inputs asked about at once; auto is as many as the model gains by.",
    ),
]
MAX_PARALLEL = 256


def parallel_of(text: str) -> int | None:
    """The number that --parallel names; None for auto.

    Raises:
        UsageError: it is neither a number nor auto.
    """
    if text == AUTO:
        return None
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= MAX_PARALLEL):
        raise UsageError(f"--parallel is {text!r}", f"Give 1 to {MAX_PARALLEL}, or auto.")
    return int(text)


@dataclass(frozen=True, slots=True)
class CommonOptions:
    """Values of the shared options; None means "as the settings say"."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Name, folder or hub id of a model.",
            rich_help_panel=_MODEL,
            autocompletion=completing.local_models,
        ),
    ] = None
    quant: Annotated[
        str | None,
        typer.Option(
            "--quant",
            metavar="FORMAT",
            help="Weights as auto, none, int8, int4 or nf4.",
            rich_help_panel=_MODEL,
            autocompletion=completing.quants,
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="DEVICE",
            help="Run on auto, cpu, cuda or mps.",
            rich_help_panel=_MODEL,
            autocompletion=completing.devices,
        ),
    ] = None
    revision: Annotated[
        str | None,
        typer.Option(
            "--revision", metavar="COMMIT", help="Commit of a hub model.", rich_help_panel=_MODEL
        ),
    ] = None
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter", metavar="DIR", help="Folder of a LoRA adapter.", rich_help_panel=_MODEL
        ),
    ] = None
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="SIZE",
            help="Use at most so much memory, as 8GB.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, help="Number of CPU threads.", rich_help_panel=_MODEL),
    ] = None
    tiles: Annotated[
        str | None,
        typer.Option(
            "--tiles",
            metavar="N",
            help="Cut an image into at most N tiles, or auto.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    zoom: Annotated[
        str | None,
        typer.Option(
            "--zoom",
            metavar="FACTOR",
            help="Enlarge images first; auto: small print.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens",
            min=1,
            help="Stop an answer after N tokens.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            min=0.0,
            help="Randomness; 0 takes the likeliest words.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option(
            "--top-p",
            min=0.0,
            max=1.0,
            help="Sample from this share of likely words.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option("--seed", help="Make random answers repeatable.", rich_help_panel=_MODEL),
    ] = None
    server: Annotated[
        str | None,
        typer.Option(
            "--server",
            metavar="URL",
            help="Ask this OpenAI-compatible server instead.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network.", rich_help_panel=_MODEL)
    ] = False
    json: Annotated[
        bool,
        typer.Option("--json", help="Print one JSON object per line.", rich_help_panel=_OUTPUT),
    ] = False
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Show tokens and memory, and run nothing.", rich_help_panel=_OUTPUT
        ),
    ] = False
    stats: Annotated[
        bool, typer.Option("--stats", help="Show the timing on stderr.", rich_help_panel=_OUTPUT)
    ] = False
    quiet: Annotated[
        bool,
        typer.Option("--quiet", "-q", help="Show only errors on stderr.", rich_help_panel=_OUTPUT),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Explain every choice on stderr.", rich_help_panel=_OUTPUT
        ),
    ] = False
    no_color: Annotated[
        bool,
        typer.Option(
            "--no-color", help="Use no colour, as with NO_COLOR=1.", rich_help_panel=_OUTPUT
        ),
    ] = False


# Options that say how a model answers, for commands that only load it.
ANSWERING = frozenset(
    {"tiles", "zoom", "max_tokens", "temperature", "top_p", "seed", "server", "plan", "stats"}
)


def with_common_options(
    command: Callable[..., None] | None = None, *, without: Collection[str] = ()
) -> Callable[..., Any]:
    """Give ``command`` the options of CommonOptions; it receives them as ``common``.

    Those in ``without`` are not offered, and keep their defaults.
    """
    if command is None:
        return lambda command: with_common_options(command, without=without)
    hints = get_type_hints(CommonOptions, include_extras=True)
    shared = [
        inspect.Parameter(
            item.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if item.default is MISSING else item.default,
            annotation=hints[item.name],
        )
        for item in fields(CommonOptions)
        if item.name not in without
    ]
    signature = inspect.signature(command, eval_str=True)
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in signature.parameters.values()
        if parameter.name != "common"
    ]
    shared_names = {parameter.name for parameter in shared}

    def run(**values: Any) -> None:
        common = CommonOptions(**{name: values.pop(name) for name in shared_names})
        command(**values, common=common)

    run.__name__ = command.__name__
    run.__doc__ = command.__doc__
    run.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
    return run
