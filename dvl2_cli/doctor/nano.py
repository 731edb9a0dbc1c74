"""The self-test: a drawn picture through the bundled nano, held to torch and to recorded answers.

The two ways of decoding are compared with each other, and both with what was recorded when
this nano was made, so that a library that changed its results is seen too.
``python -m dvl2_cli.doctor.nano`` records them anew, after the bundled nano was replaced.
"""

from __future__ import annotations

import hashlib
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dvl2_cli.doctor.check import Check, Status, ok
from dvl2_cli.errors import ModelError
from dvl2_cli.files import atomic_write
from dvl2_cli.store.places import nano_folder

if TYPE_CHECKING:
    from dvl2_cli.engine.local.self_test import SelfTest

GROUP = "self-test"
RECORDED = Path(__file__).with_name("recorded.json")
# In standard deviations of the logits. Measured 1e-6 between the kernels and torch; the
# recorded ones may come from another processor.
_NATIVE_TOLERANCE = 1e-3
_RECORDED_TOLERANCE = 1e-2
_REPORT = "Report it with the output of: dvl2 doctor --json"


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the nano of that hash answered: greedy tokens, and the first position's logits."""

    sha256: str
    tokens: tuple[int, ...]
    logits: tuple[float, ...]


def self_test_checks() -> Iterator[Check]:
    """Run the self-test once and judge it."""
    from dvl2_cli.engine.local.self_test import run_self_test

    folder = _folder()
    result = run_self_test(folder)
    yield _native(result)
    yield _recorded(result, folder)


def _native(result: SelfTest) -> Check:
    name = "kernels against torch"
    if result.distance is None:
        return ok(GROUP, name, "nothing to compare: torch decodes", result.why_not_native)
    same = result.native_tokens == result.tokens
    found = (
        f"{'the same' if same else 'other'} {len(result.tokens)} tokens, logits within "
        f"{result.distance:.1e} standard deviations"
    )
    if same and result.distance <= _NATIVE_TOLERANCE:
        return ok(GROUP, name, found)
    remedy = "Set DVL2_KERNELS=0 to run in torch alone. " + _REPORT
    return Check(GROUP, name, Status.FAILED, found, f"at most {_NATIVE_TOLERANCE:.0e}", remedy)


def _recorded(result: SelfTest, folder: Path) -> Check:
    name = "torch against the record"
    recorded = read_recorded()
    if recorded is None or recorded.sha256 != weights_hash(folder):
        reason = f"{folder} holds other weights than those of this dvl2"
        remedy = "Install dvl2 again, unless you replaced nano yourself."
        return Check(GROUP, name, Status.WARNING, "nothing was recorded", reason, remedy)
    spread = statistics.pstdev(recorded.logits)
    distance = max(
        abs(now - then) for now, then in zip(result.logits, recorded.logits, strict=True)
    )
    distance /= spread
    same = result.tokens == recorded.tokens
    found = (
        f"{'the same' if same else 'other'} {len(recorded.tokens)} tokens, logits within "
        f"{distance:.1e} standard deviations"
    )
    if same and distance <= _RECORDED_TOLERANCE:
        return ok(GROUP, name, found)
    reason = "this torch or transformers computes something else than dvl2 was tested with"
    remedy = "Install the versions of constraints.txt. " + _REPORT
    return Check(GROUP, name, Status.FAILED, found, reason, remedy)


def weights_hash(folder: Path) -> str:
    """SHA-256 over the weight files of ``folder``, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def read_recorded() -> Recorded | None:
    """The record that comes with dvl2; None where there is none or it cannot be read."""
    try:
        content = json.loads(RECORDED.read_text(encoding="utf-8"))
        return Recorded(content["sha256"], tuple(content["tokens"]), tuple(content["logits"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record() -> None:
    """Write down what the bundled nano answers now, by torch."""
    from dvl2_cli.engine.local.self_test import run_self_test

    folder = _folder()
    result = run_self_test(folder)
    content = {
        "sha256": weights_hash(folder),
        "tokens": result.tokens,
        "logits": [round(value, 4) for value in result.logits],
    }
    with atomic_write(RECORDED) as stream:
        stream.write(json.dumps(content) + "\n")


def _folder() -> Path:
    folder = nano_folder()
    if folder is None:
        raise ModelError("the bundled model is not in this installation", "Install dvl2 again.")
    return folder


if __name__ == "__main__":
    record()
