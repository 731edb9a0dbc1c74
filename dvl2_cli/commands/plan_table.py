"""The plan as tables on a terminal; receives plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dvl2_cli.planning.plan import Plan, Tier
from dvl2_cli.sizes import format_size
from dvl2_cli.ui.control import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dvl2_cli.engine.plan_report import PlanReport
    from dvl2_cli.planning.hardware import Hardware


def render_plan(report: PlanReport, console: Console) -> None:
    """Write prompts, choices and placements to ``console``."""
    for choice in report.choices:
        text = f"{choice.what:7} {printable(choice.chosen)} ({printable(choice.reason)})"
        console.print(text, markup=False)
    if report.prompts:
        console.print(_prompts(report))
    if report.plan is not None:
        console.print(_placements(report.plan))
        console.print(_totals(report.plan, report.hardware), markup=False)


def _prompts(report: PlanReport) -> Table:
    from rich.text import Text

    table = _table("prompt", "tokens", "images", "left", "tiles")
    for prompt in report.prompts:
        tiles = ", ".join(f"{columns}x{rows} + thumbnail" for columns, rows in prompt.tiles)
        room = f"{prompt.room}" if prompt.room > 0 else f"{1 - prompt.room} too many"
        table.add_row(
            Text(printable(prompt.subject)),  # a name may look like Rich's markup
            f"{prompt.prompt_tokens} / {prompt.context_length}",
            str(prompt.image_tokens),
            room,
            tiles or "no image",
        )
    return table


def _placements(plan: Plan) -> Table:
    from rich.text import Text

    table = _table("what", "where", "size", "why")
    for item in plan.placements:
        table.add_row(item.what, item.tier.value, format_size(item.nbytes), Text(item.reason))
    return table


def _totals(plan: Plan, hardware: Hardware) -> str:
    tiers = [(tier, plan.bytes_in(tier)) for tier in Tier]
    shown = ", ".join(f"{tier.value} {format_size(size)}" for tier, size in tiers if size)
    cap = "" if plan.cap is None else f", cap {format_size(plan.cap)}"
    smaller = plan.cache_per_token_expanded / plan.cache_per_token
    kept = f" ({smaller:.1f} times less than every head's)" if smaller > 1 else ""
    cards = "".join(
        f", {format_size(card.memory_free)} on {printable(card.name)}"
        for card in hardware.accelerators.value
    )
    return (
        f"in all: {shown}{cap}\n"
        f"free: {format_size(hardware.ram_available.value)} of RAM{cards}, "
        f"{format_size(hardware.disk_free.value)} of disk\n"
        f"each token reads {format_size(plan.read_per_token)} of weights "
        f"and adds {format_size(plan.cache_per_token)} to the cache{kept}\n"
        f"answers at once: as many as caches of {format_size(plan.cache_room)} hold, "
        f"{plan.cache_room // plan.cache_per_token} tokens of prompts and answers"
    )


def _table(first: str, *others: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        numeric = name in ("tokens", "images", "left", "size")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    return table
