"""The ``dvl2`` command: a table of subcommands, each imported only when it is called.

Keeping the table here, names and one-line helps included, is what lets ``dvl2 --help``
answer without importing any command's dependencies.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from dvl2_cli import __version__
from dvl2_cli.command_table import COMMANDS as COMMANDS
from dvl2_cli.errors import Dvl2Error, InputError, OutputError, UsageError
from dvl2_cli.help_screen import flowed, name_values

_CANCELLED = "dvl2: cancelled"
_STREAM_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class LazyGroup(TyperGroup):
    """A command group that imports a subcommand's module when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Every subcommand's name, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The subcommand, imported; for the help listing a light stand-in."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module_name, summary, panel = entry
        if ctx.obj is None or ctx.obj.get("listing"):
            return _listing_stand_in(cmd_name, summary, panel)
        command = load_command(cmd_name, module_name)
        name_values(command.get_params(ctx))  # --help too, which comes with the context
        return command

    def get_params(self, ctx: Any) -> list[Any]:
        """As in typer, with a word for every value."""
        parameters = super().get_params(ctx)
        name_values(parameters)
        return parameters

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """As in typer; what is wrong with the options is fit for a terminal."""
        with _printable_errors():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """As in typer; what is wrong with a subcommand's options is fit for a terminal."""
        with _printable_errors():
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The subcommand that the words name; from here on it is really imported.

        Raises:
            UsageError: there is none; a close one is named.
        """
        ctx.obj = {"listing": False}
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise _unknown_command(args[0])
        return super().resolve_command(ctx, args)


def _unknown_command(word: str) -> UsageError:
    import difflib
    from pathlib import Path

    near = difflib.get_close_matches(word.lower(), COMMANDS, n=1)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif Path(word).exists():
        hint = f"To ask about a picture: dvl2 chat {word}"
    else:
        hint = "dvl2 --help lists the commands."
    return UsageError(f"there is no command {word!r}", hint)


@contextlib.contextmanager
def _printable_errors() -> Iterator[None]:
    """Words of the command line, which may be file names, stand in typer's own errors as well."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):
            from dvl2_cli.ui.control import one_line

            message = one_line(error.format_message())
            error.format_message = lambda: message
        raise


def _listing_stand_in(name: str, summary: str, panel: str) -> Any:
    stand_in = typer.Typer(add_completion=False)
    stand_in.command(name, help=summary, rich_help_panel=panel)(lambda: None)
    return typer.main.get_command(stand_in)


def load_command(name: str, module_name: str) -> Any:
    """The command ``name``, its module imported."""
    module = importlib.import_module(module_name)
    command = typer.main.get_command(module.app)
    command.name = name
    command.help = flowed(command.help or "")
    name_values(command.params)
    return command


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    help="DeepSeek-VL2 on this machine: chat about images, read documents, box objects.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dvl2 {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", "-V", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """DeepSeek-VL2 on this machine: chat about images, read documents, box objects."""


def report(error: Dvl2Error) -> None:
    """Write an error to stderr as one line, with the remedy on a second."""
    from dvl2_cli.ui.control import one_line

    with contextlib.suppress(OSError):  # stderr may be full or closed: the exit code is left
        print(f"dvl2: {one_line(error.message)}", file=sys.stderr)
        if error.hint:
            print(f"  {one_line(error.hint)}", file=sys.stderr)


def main(command: Callable[[], object] | None = None) -> None:
    """Run the command line, or another ``command``; exits with the codes of the README."""
    # huggingface_hub would report the installed packages and ask its hub who is calling.
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    _open_closed_streams()
    if "_DVL2_COMPLETE" in os.environ or any("-completion" in word for word in sys.argv[1:]):
        from dvl2_cli.completing import complete_at_first_tab

        complete_at_first_tab()
    try:
        (command or app)()
    except Dvl2Error as error:
        report(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print(_CANCELLED, file=sys.stderr)
        sys.exit(130)
    except SystemExit as error:
        if _interrupted(error):
            print(_CANCELLED, file=sys.stderr)
        # typer and rich leave with 1 where nobody reads what they write.
        if not isinstance(error.__context__, BrokenPipeError):
            raise
        _detach_stdout()
        sys.exit(0)
    except BrokenPipeError:
        _detach_stdout()
        sys.exit(0)
    except OSError as error:
        if error.filename is not None:  # a path that cannot be one: too long, a loop of links
            report(InputError(f"cannot use {os.fsdecode(error.filename)}: {error.strerror}"))
            sys.exit(InputError.exit_code)
        # Files have their own errors, with their names: this one is of a stream.
        if error.errno not in _STREAM_ERRORS:
            raise
        _detach_stdout()
        report(OutputError(f"cannot write to stdout: {error.strerror}"))
        sys.exit(OutputError.exit_code)


def _interrupted(error: SystemExit) -> bool:
    """Whether typer left because of a Ctrl-C that no command had expected."""
    reason = error.__context__
    return reason is not None and isinstance(reason.__cause__, KeyboardInterrupt)


def _open_closed_streams() -> None:
    """Replace streams that the caller closed, which Python gives as None.

    stdin is empty then, stderr takes everything, and writing to stdout fails.
    """
    for number, name, flags, mode in (
        (0, "stdin", os.O_RDONLY, "r"),
        (1, "stdout", os.O_RDONLY, "w"),
        (2, "stderr", os.O_WRONLY, "w"),
    ):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, flags)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _detach_stdout() -> None:
    # Nobody takes what stdout holds: point it at nothing, so that the interpreter's own
    # flush at exit stays silent too.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
