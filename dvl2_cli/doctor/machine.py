"""The machine: cores, instruction sets, memory, disk, and the device that is taken."""

from __future__ import annotations

from collections.abc import Iterator

from dvl2_cli.doctor.check import Check, Status, from_error, ok
from dvl2_cli.errors import Dvl2Error
from dvl2_cli.planning.hardware import Hardware
from dvl2_cli.planning.working_memory import RUNTIME_BYTES
from dvl2_cli.sizes import format_size

GROUP = "machine"


def machine_checks(hardware: Hardware) -> Iterator[Check]:
    """Every fact with its source, and the device with its reason."""
    yield ok(GROUP, "system", hardware.system.value)
    yield _cores(hardware)
    isa = " ".join(hardware.isa.value) or "none known"
    yield ok(GROUP, "CPU features", isa, hardware.isa.source)
    yield _ram(hardware)
    limit = hardware.memory_limit
    shown = "none" if limit.value is None else format_size(limit.value)
    yield ok(GROUP, "memory limit", shown, limit.source)
    for card in hardware.accelerators.value:
        memory = f"{format_size(card.memory_free)} free of {format_size(card.memory_total)}"
        yield ok(GROUP, card.kind, f"{card.name}, {memory}", hardware.accelerators.source)
    yield _device(hardware)


def _cores(hardware: Hardware) -> Check:
    cores, limit = hardware.cores.value, hardware.core_limit
    found = f"{hardware.cpu.value or 'unknown'}, {cores} cores"
    if limit.value is None or limit.value >= cores:
        return ok(GROUP, "CPU", found, hardware.cores.source)
    return Check(
        GROUP,
        "CPU",
        Status.WARNING,
        f"{found}, of which a control group allows {limit.value:g}",
        limit.source,
        f"Use no more threads: --threads {max(1, int(limit.value))}, or dvl2 config set threads.",
    )


def _ram(hardware: Hardware) -> Check:
    free, total = hardware.ram_available, hardware.ram_total.value
    found = f"{format_size(free.value)} free of {format_size(total)}"
    if hardware.usable_ram >= RUNTIME_BYTES:
        return ok(GROUP, "RAM", found, free.source)
    return Check(
        GROUP,
        "RAM",
        Status.WARNING,
        found,
        f"torch alone takes {format_size(RUNTIME_BYTES)}",
        "Close other programs, or raise the container's limit.",
    )


def _device(hardware: Hardware) -> Check:
    """The device that torch will use, beside what the driver says is there."""
    from dvl2_cli.engine.local.placement import usable_device
    from dvl2_cli.settings import load_settings

    try:
        requested = load_settings().device
    except Dvl2Error:
        requested = "auto"  # the settings have a check of their own
    try:
        device = usable_device(requested)
    except Dvl2Error as error:
        return from_error(GROUP, "device", error)
    cards = hardware.accelerators.value
    if device.name == "cpu" and requested == "auto" and cards:
        return Check(
            GROUP,
            "device",
            Status.WARNING,
            "cpu",
            f"{cards[0].name} is there, but torch was built without it",
            "Install a torch build for the device.",
        )
    return ok(GROUP, "device", device.name, device.reason)
