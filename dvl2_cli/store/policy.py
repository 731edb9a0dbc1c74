"""What a checkpoint wants done around its plain answers: the fields of ``dvl2_policy.json``.

The file lies beside ``config.json``, and only dvl2 reads it. Every field stands for itself and is
off where it is absent, as it is in released checkpoints: those get upstream's plain behaviour.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from dvl2_cli.files import atomic_write
from dvl2_cli.store.json_file import read_json
from dvl2_cli.store.problems import Problem, as_error

FILE_NAME = "dvl2_policy.json"
MAX_PRINT_HEIGHT = 384.0  # pixels: a tile's side

Reads = Literal["pages", "lines"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Named behaviours of a checkpoint; the defaults are upstream's.

    Attributes:
        reads: what a page of text is shown as: "pages" whole, or "lines" one by one.
        print_height: pixels from the top of high letters to the bottom of hanging ones at which
            the model reads best; smaller print is enlarged to it. None: never enlarged.
        refine_boxes: whether each box is asked for again on a crop around it.
        count_by_boxes: whether "how many" is answered by counting the boxes of what is named.
        doubt_threshold: mean negative log-likelihood of an answer's tokens, in nats, above which
            an answer about a picture carries a warning; pages that are read by lines are judged
            line by line instead. None: as the checkpoint's statistics say, if it has any.
    """

    reads: Reads = "pages"
    print_height: float | None = None
    refine_boxes: bool = False
    count_by_boxes: bool = False
    doubt_threshold: float | None = None

    @property
    def min_probability(self) -> float | None:
        """``doubt_threshold`` as the geometric mean of the tokens' probabilities, 0..1."""
        return None if self.doubt_threshold is None else math.exp(-self.doubt_threshold)

    def at_zoom(self, zoom: float | Literal["auto"] | None) -> Policy:
        """This policy, or the plain one where a person chose the size of pictures: they then get
        one plain answer about what they chose.
        """
        return PLAIN_POLICY if isinstance(zoom, float | int) else self

    def rows(self) -> list[tuple[str, str]]:
        """Each field's name and value, for people."""
        return [(item.name, _shown(getattr(self, item.name))) for item in fields(self)]


PLAIN_POLICY = Policy()


def read_policy(folder: Path) -> Policy:
    """The policy of the checkpoint in ``folder``; the plain one where it has none.

    Raises:
        ModelError: the file is damaged, or a field is unknown or out of range.
    """
    problems: list[Problem] = []
    policy = check_policy(folder / FILE_NAME, problems)
    if problems:
        raise as_error(problems, folder)
    return policy


def check_policy(path: Path, problems: list[Problem]) -> Policy:
    """The policy in ``path``; faults go to ``problems`` and read as if absent."""
    if not path.exists():
        return PLAIN_POLICY
    table = read_json(path, problems)
    if table is None:
        return PLAIN_POLICY
    try:
        return policy_from(table)
    except ValueError as error:
        hint = f"Correct it, or delete it: without {FILE_NAME} the model answers plainly."
        problems.append(Problem(f"{path} {error}", hint))
        return PLAIN_POLICY


def policy_from(table: dict[str, Any]) -> Policy:
    """The policy with the fields of ``table``.

    Raises:
        ValueError: a field is unknown, or its value is not what it takes.
    """
    known = [item.name for item in fields(Policy)]
    for name, value in table.items():
        if name not in known:
            raise ValueError(f"has the field {name!r}; it takes {', '.join(known)}")
        wanted = _wrong(name, value)
        if wanted is not None:
            raise ValueError(f"has {name} = {json.dumps(value)[:60]}, not {wanted}")
    return Policy(**table)


def write_policy(folder: Path, policy: Policy) -> None:
    """Write ``policy`` into a checkpoint's folder; a plain one leaves no file.

    Raises:
        OutputError: it cannot be written.
    """
    if policy == PLAIN_POLICY:
        (folder / FILE_NAME).unlink(missing_ok=True)
        return
    with atomic_write(folder / FILE_NAME) as stream:
        stream.write(json.dumps(asdict(policy), indent=2) + "\n")


def _wrong(name: str, value: object) -> str | None:
    """What the field ``name`` takes, if ``value`` is nothing of it."""
    if name == "reads":
        return None if value in ("pages", "lines") else '"pages" or "lines"'
    if name in ("refine_boxes", "count_by_boxes"):
        return None if isinstance(value, bool) else "true or false"
    most = MAX_PRINT_HEIGHT if name == "print_height" else float("inf")
    number = type(value) in (int, float) and 0 < value < most  # type: ignore[operator]
    limit = f" below {most:g}" if most < float("inf") else ""
    return None if value is None or number else f"a positive number{limit}, or null"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "off" if value is None else str(value)
