"""Reading the JSON files of a model folder, collecting what is wrong instead of stopping."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

from dvl2_cli.store.problems import Problem, fetch_again

_LARGEST_JSON = 200_000_000  # bytes; released tokenizer files have under 10 million


def read_json(path: Path, problems: list[Problem]) -> dict[str, Any] | None:
    """The JSON object in ``path``; None, with the reason in ``problems``, if there is none."""
    remedy = fetch_again(path)
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            problems.append(Problem(f"{path} is no regular file", remedy))
            return None
        if found.st_size > _LARGEST_JSON:
            problems.append(Problem(f"{path} is too large to be a model's JSON file", remedy))
            return None
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        problems.append(Problem(f"{path} is missing", remedy))
    except OSError as error:
        hint = "Check its permissions."
        problems.append(Problem(f"{path} cannot be read: {error.strerror}", hint))
    except (ValueError, RecursionError):
        problems.append(Problem(f"{path} is not valid JSON: truncated or damaged", remedy))
    else:
        if isinstance(content, dict):
            return content
        problems.append(Problem(f"{path} does not hold a JSON object", remedy))
    return None
