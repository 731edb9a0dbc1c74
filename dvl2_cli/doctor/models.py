"""Tiny, Small, VL2 and every copy on this machine: what would go where, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dvl2_cli.doctor.check import Check, Status, from_error
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.planning.choose import Outlook, outlook, outlook_of_copy
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.plan import Plan, Tier
from dvl2_cli.planning.released import released_architecture
from dvl2_cli.planning.weights import predicted_weights, weights_held
from dvl2_cli.sizes import format_size
from dvl2_cli.store.checkpoint import check_checkpoint
from dvl2_cli.store.inventory import Copy, all_copies
from dvl2_cli.store.keys import OWN_METHOD
from dvl2_cli.store.names import RELEASED
from dvl2_cli.store.policy import FILE_NAME, PLAIN_POLICY, read_policy
from dvl2_cli.store.resolve import PLAIN, folder_quant

GROUP = "models"
# The name of dvl2, and what its authors call it.
_RELEASED = (("tiny", "Tiny"), ("small", "Small"), ("base", "VL2"))
_TIERS = {Tier.GPU: "GPU memory", Tier.RAM: "RAM", Tier.DISK: "its file on disk"}


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as ``--json`` shows it."""

    model: str
    folder: Path | None
    runs: bool
    quant: str | None
    device: str | None
    reason: str
    remedy: str | None
    memory: Plan | None


@dataclass(frozen=True, slots=True)
class ModelReport:
    """One model: ``folder`` where its copy lies, None for one that is not on this machine."""

    outlook: Outlook | None
    folder: Path | None
    check: Check

    def row(self) -> ModelRow:
        """The model's part of ``--json``."""
        found = self.outlook
        return ModelRow(
            model=self.check.name,
            folder=self.folder,
            runs=found is not None and found.runs,
            quant=None if found is None else found.quant,
            device=None if found is None else found.device,
            reason=self.check.found if found is None else found.reason,
            remedy=self.check.remedy,
            memory=None if found is None else found.plan,
        )


def model_reports(hardware: Hardware) -> Iterator[ModelReport]:
    """The copies that are here, then the released models of which none is."""
    copies = all_copies()
    for copy in copies:
        yield _of_copy(copy, hardware)
    named = _chosen_folder([copy.folder for copy in copies])
    if named is not None:
        yield _of_folder(str(named), folder_quant(named), named, hardware)
    here = {copy.id for copy in copies}
    for name, title in _RELEASED:
        if RELEASED[name] not in here:
            yield _of_released(name, title, hardware)


def _chosen_folder(known: list[Path]) -> Path | None:
    """The folder that the settings choose, where it is not one of ``known``."""
    from dvl2_cli.engine.session import Session

    try:
        folder = Session(remember=False).resolved.folder
    except Dvl2Error:
        return None  # the check of the choice says so
    return None if folder in known else folder


def chosen_check() -> Iterator[Check]:
    """Which model a command without --model takes, and why."""
    from dvl2_cli.engine.session import Session

    resolved = Session(remember=False).resolved
    yield Check(GROUP, "chosen", Status.OK, f"{resolved.id}, {resolved.quant}", resolved.reason)
    policy = read_policy(resolved.folder)
    rows = ", ".join(f"{name} {value}" for name, value in policy.rows())
    source = FILE_NAME if policy != PLAIN_POLICY else f"it has no {FILE_NAME}"
    yield Check(GROUP, "policy of the chosen", Status.OK, rows, source)


def _of_copy(copy: Copy, hardware: Hardware) -> ModelReport:
    name = copy.name if copy.quant == PLAIN else f"{copy.name} {copy.quant}"
    if copy.state == "incomplete":
        remedy = f"Go on with: dvl2 pull {copy.name}, or dvl2 rm {copy.name}"
        found = f"a pull that was stopped, {format_size(copy.size)} so far"
        return ModelReport(
            None, copy.folder, Check(GROUP, name, Status.WARNING, found, remedy=remedy)
        )
    return _of_folder(name, copy.quant, copy.folder, hardware)


def _of_folder(name: str, quant: str, folder: Path, hardware: Hardware) -> ModelReport:
    try:
        info = check_checkpoint(folder)
    except Dvl2Error as error:
        return ModelReport(None, folder, from_error(GROUP, name, error))
    weights = weights_held(info, "cpu", hardware)
    packed = info.quant_method == OWN_METHOD
    found = outlook_of_copy(name, info.architecture, weights, quant, hardware, packed=packed)
    return ModelReport(found, folder, _judged(name, found, "runs"))


def _of_released(name: str, title: str, hardware: Hardware) -> ModelReport:
    parts = released_architecture(name)
    found = outlook(name, parts, hardware)
    check = _judged(title, found, "not here; would run")
    if found.runs:
        original = predicted_weights(parts, PLAIN).total
        copied = 0 if found.quant == PLAIN else predicted_weights(parts, found.quant).total
        free = hardware.disk_free.value
        remedy, status = f"dvl2 pull {name}", Status.OK
        if original + copied > free:
            status = Status.WARNING
            remedy = (
                f"Free {format_size(original + copied - free)} of disk for the download and its "
                f"copy, or set DVL2_MODELS to a larger disk; then: dvl2 pull {name}"
            )
        check = Check(GROUP, title, status, check.found, check.reason, remedy)
    return ModelReport(found, None, check)


def _judged(title: str, found: Outlook, verb: str) -> Check:
    if found.plan is None:
        text = f"does not fit, not even as {found.quant} on {found.device}"
        return Check(GROUP, title, Status.WARNING, text, found.reason, found.remedy)
    sizes = [(tier, found.plan.bytes_in(tier)) for tier in Tier]
    where = ", ".join(f"{format_size(size)} in {_TIERS[tier]}" for tier, size in sizes if size)
    kind = "as it is" if found.quant == PLAIN else f"as {found.quant}"
    return Check(GROUP, title, Status.OK, f"{verb} {kind} on {found.device}: {where}", found.reason)
