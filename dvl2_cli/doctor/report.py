"""All checks together, one part after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dvl2_cli.doctor.check import Check, Status, guarded
from dvl2_cli.doctor.folders import folder_checks
from dvl2_cli.doctor.kernels import kernel_checks
from dvl2_cli.doctor.machine import machine_checks
from dvl2_cli.doctor.models import GROUP as MODELS
from dvl2_cli.doctor.models import ModelReport, ModelRow, chosen_check, model_reports
from dvl2_cli.doctor.nano import self_test_checks
from dvl2_cli.doctor.software import software_checks
from dvl2_cli.planning.hardware import Hardware, probe
from dvl2_cli.row import JsonRow
from dvl2_cli.user_folders import NoHomeError


@dataclass(frozen=True, slots=True)
class DoctorRow(JsonRow):
    """All checks, this machine, and what would go where."""

    schema = "dvl2.doctor/1"
    heading = "The line of dvl2 doctor --json"

    status: Status
    checks: list[Check]
    machine: Hardware | None
    models: list[ModelRow]


@dataclass(slots=True)
class Report:
    """What was found; ``hardware`` is None where the machine could not be read."""

    checks: list[Check] = field(default_factory=list)
    models: list[ModelReport] = field(default_factory=list)
    hardware: Hardware | None = None

    @property
    def status(self) -> Status:
        """The worst of all checks."""
        found = {check.status for check in self.checks}
        return next((s for s in (Status.FAILED, Status.WARNING) if s in found), Status.OK)

    def row(self) -> DoctorRow:
        """The line of ``--json``."""
        models = [model.row() for model in self.models]
        return DoctorRow(self.status, self.checks, self.hardware, models)


def examine(report: Report) -> Iterator[Check]:
    """Fill ``report``, giving each check as it is made; nothing is raised."""
    for check in _checks(report):
        report.checks.append(check)
        yield check


def _checks(report: Report) -> Iterator[Check]:
    yield from guarded("software", "libraries", software_checks)
    yield from guarded("machine", "machine", lambda: _machine(report))
    yield from guarded("folders", "folders", folder_checks)
    yield from guarded("kernels", "kernels", kernel_checks)
    yield from guarded("self-test", "nano", self_test_checks)
    yield from guarded(MODELS, "chosen", chosen_check)
    yield from guarded(MODELS, "models", lambda: _models(report))


def _machine(report: Report) -> Iterator[Check]:
    from dvl2_cli.store.places import models_folder

    try:
        folder = models_folder()
    except NoHomeError:
        folder = Path.cwd()
    report.hardware = probe(folder)
    yield from machine_checks(report.hardware)


def _models(report: Report) -> Iterator[Check]:
    if report.hardware is None:
        return
    for model in model_reports(report.hardware):
        report.models.append(model)
        yield model.check
