"""Reading what ``--schema`` was given: a file, JSON on the command line, or a field list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from dvl2_cli.errors import NoUsableOutputError, UsageError
from dvl2_cli.plain_file import read_plain_file
from dvl2_cli.schema.enforce import enforceable
from dvl2_cli.schema.fields import Schema, schema_from_fields
from dvl2_cli.texts import decode_text

_LARGEST = 2**20
# Of one answer: problems that are named, and characters of each.
_MAX_PROBLEMS = 5
_MAX_MESSAGE = 200


@dataclass(frozen=True)
class AnswerSchema:
    """A JSON Schema (2020-12) that an answer has to follow.

    ``is_lenient``: JSON that breaks it is kept, with a warning.
    """

    document: Schema
    is_lenient: bool = False

    @cached_property
    def _enforceable(self) -> tuple[Schema, list[str]]:
        return enforceable(self.document)

    @property
    def text(self) -> str:
        """What of the schema can be enforced, as JSON for `Constraint`."""
        return json.dumps(self._enforceable[0], ensure_ascii=False)

    @property
    def notes(self) -> list[str]:
        """What the user should know about keywords that cannot be enforced."""
        left = self._enforceable[1]
        if not left:
            return []
        broken = "" if self.is_lenient else "; --schema-lenient keeps answers that break them"
        return [f"--schema: checked only when the answer is complete: {', '.join(left)}{broken}"]

    @cached_property
    def _validator(self) -> Any:
        from jsonschema import Draft202012Validator
        from referencing import Registry

        # Without a registry of its own the validator would fetch what a $ref names.
        return Draft202012Validator(self.document, registry=Registry())

    def parse(self, answer: str) -> Any:
        """The value that ``answer`` holds, checked.

        Raises:
            NoUsableOutputError: not JSON, or not what the schema allows.
            UsageError: the schema refers to what it does not hold.
        """
        value, broken = self._checked(answer)
        if broken:
            raise NoUsableOutputError(broken[0], "--schema-lenient keeps such answers.")
        return value

    def read(self, answer: str) -> tuple[Any, list[str]]:
        """The value that ``answer`` holds, and where it breaks a schema that is lenient.

        Raises:
            NoUsableOutputError: not JSON, or not what a schema allows that is not lenient.
            UsageError: the schema refers to what it does not hold.
        """
        return self._checked(answer) if self.is_lenient else (self.parse(answer), [])

    def _checked(self, answer: str) -> tuple[Any, list[str]]:
        try:
            value = json.loads(answer, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise NoUsableOutputError(
                f"the answer is not the JSON that --schema asks for: {error}",
                "A longer --max-tokens helps if it was cut short.",
            ) from error
        from referencing.exceptions import Unresolvable

        try:
            broken = [
                f"the answer breaks --schema at {problem.json_path}: {_quoted(problem.message)}"
                for problem in islice(self._validator.iter_errors(value), _MAX_PROBLEMS)
            ]
        except Unresolvable as error:
            raise UsageError(
                f"--schema refers to {_quoted(error.ref)}, which it does not hold",
                "Put it under $defs; nothing is fetched.",
            ) from error
        return value, broken


def read_schema(given: str, *, is_lenient: bool = False) -> AnswerSchema:
    """The schema that ``--schema`` names: a .json file, inline JSON, or a short field list.

    Raises:
        UsageError: it cannot be read, is not JSON or not a schema, or is no field list.
    """
    return AnswerSchema(_document(given), is_lenient)


def _document(given: str) -> Schema:
    stripped = given.strip()
    if stripped.startswith("{"):
        return _from_json(stripped, "--schema")
    if stripped.lower().endswith(".json"):
        return _from_json(_file_text(Path(stripped).expanduser()), stripped)
    return schema_from_fields(given)


def _file_text(path: Path) -> str:
    try:
        return decode_text(read_plain_file(path, _LARGEST))
    except OSError as error:
        raise UsageError(f"cannot read the schema {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"the schema {path} is not UTF-8 text") from error


def _from_json(text: str, where: str) -> Schema:
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not JSON: {error}") from error
    return checked_schema(document, where).document


def checked_schema(document: object, where: str) -> AnswerSchema:
    """``document`` as the schema that answers follow; ``where`` names who gave it.

    Raises:
        UsageError: it is no JSON Schema.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    if not isinstance(document, dict):
        raise UsageError(f"{where}: a JSON Schema is an object, not {type(document).__name__}")
    try:
        Draft202012Validator.check_schema(document)
    except (SchemaError, RecursionError) as error:
        words = getattr(error, "message", "it is nested too deeply")
        raise UsageError(f"{where}: not a JSON Schema: {words}") from error
    return AnswerSchema(document)


def _quoted(message: str) -> str:
    """``message``, which quotes the answer, on one line."""
    line = " ".join(message.split())
    return line if len(line) <= _MAX_MESSAGE else f"{line[: _MAX_MESSAGE - 1]}…"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
