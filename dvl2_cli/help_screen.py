"""What the help screens and the manual show in place of typer's own types."""

from __future__ import annotations

import inspect
from typing import Any


def flowed(text: str) -> str:
    """``text`` with every paragraph in one line, to be wrapped to the terminal's width.

    Paragraphs with indented lines, as examples are, keep their lines.
    """
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(
        paragraph if "\n " in paragraph else paragraph.replace("\n", " ")
        for paragraph in paragraphs
    )


def name_values(parameters: list[Any]) -> None:
    """Name the value of every option by a short word: "N" and "DIR" instead of "<int range>".

    typer's own types are wide, and leave little room for the words beside them.
    """
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            shown = _choices(parameter)
            parameter.display_type_rich = lambda ctx, shown=shown: shown
            continue
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""  # a switch takes no value
        elif parameter.metavar is None:
            parameter.metavar = _metavar(parameter)
        parameter._get_number_range_help_str = lambda: None


def _metavar(option: Any) -> str:
    least, most = getattr(option, "min", None), getattr(option, "max", None)
    if least is not None and most is not None:
        return f"{least:g}-{most:g}"
    return {"integer": "N", "int": "N", "float": "X", "path": "PATH"}.get(_type(option), "TEXT")


def _type(option: Any) -> str:
    """The name of the value's type, as "int", "path" or "str"."""
    shown = str(option.display_type(None)).strip("<>").removesuffix(" range")
    return "path" if shown in ("path", "file", "directory") else shown


def _choices(argument: Any) -> str:
    """The values that an argument can have, where they are few; its name says the rest."""
    shown = str(argument.display_type(None)).strip("<>")
    return shown if "|" in shown else ""
