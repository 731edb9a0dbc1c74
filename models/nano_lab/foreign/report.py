"""The tables of a run, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from nano_lab.foreign.drawing.catalogue import KINDS
from nano_lab.foreign.questions import INTENTS
from nano_lab.foreign.suite import Answer, Page, Results, digits_right_or_flagged, is_found

_BAD, _GOOD = 0.1, 0.02


def tables(results: Results) -> str:
    """Every table that the run has figures for."""
    parts = [
        *_pages(results),
        *_single(results),
        *(_answers(results.answers) if results.answers else ()),
    ]
    return "\n".join(parts)


def _pages(results: Results) -> Iterator[str]:
    columns = {"nano": results.pages, **results.peers}
    columns = {name: pages for name, pages in columns.items() if pages}
    if not columns:
        return
    heads = "".join(f" {name} median | mean | CPU s |" for name in columns)
    yield f"| kind | n |{heads}"
    yield "|---|---|" + "---|" * (3 * len(columns))
    for kind in (*KINDS, "all"):
        cells = []
        for pages in columns.values():
            chosen = [page for page in pages if kind in (page.kind, "all")]
            cells.append(_row(chosen))
        count = sum(kind in (page.kind, "all") for page in next(iter(columns.values())))
        if count:
            yield f"| {kind} | {count} | {' | '.join(cells)} |"
    yield ""


def _row(pages: Sequence[Page]) -> str:
    if not pages:
        return " | | "
    errors = [page.errors for page in pages]
    seconds = statistics.mean(page.seconds for page in pages)
    return f"{statistics.median(errors):.3f} | {statistics.mean(errors):.3f} | {seconds:.1f}"


def _single(results: Results) -> Iterator[str]:
    yield "| measured | n | nano |"
    yield "|---|---|---|"
    pages = results.pages
    if pages:
        bad = [page.warned for page in pages if page.errors > _BAD]
        good = [page.warned for page in pages if page.errors < _GOOD]
        yield f"| pages with CER > {_BAD} that warn | {len(bad)} | {_share(bad)} |"
        yield f"| pages with CER < {_GOOD} that warn | {len(good)} | {_share(good)} |"
        right = digits_right_or_flagged(pages)
        if right is not None:
            printed = sum(p.digits.printed for p in pages if p.kind in {"invoice", "receipt"})
            yield f"| digits of invoices and receipts, right or flagged | {printed} | {right:.4f} |"
    if results.fields:
        fields = results.fields
        yield f"| fields exact | {len(fields)} | {_share([f.right for f in fields])} |"
        silent = [not f.right and not f.warned for f in fields]
        yield f"| fields wrong in silence | {len(fields)} | {_share(silent)} |"
    if results.answers:
        for name, label in (
            ("right", "wordings: right, or an honest refusal"),
            ("refused", "wordings: refused though it can be answered"),
            ("warned", "wordings: wrong, with a warning"),
            ("wrong", "wordings: confidently wrong"),
        ):
            share = _share([answer.outcome == name for answer in results.answers])
            yield f"| {label} | {len(results.answers)} | {share} |"
    if results.found:
        found = [is_found(f) for f in results.found]
        yield f"| grounding, IoU 0.5 | {len(found)} | {_share(found)} |"
    yield ""


def _share(values: Sequence[bool]) -> str:
    return f"{sum(values) / len(values):.2f}" if values else "-"


def _answers(answers: Sequence[Answer]) -> Iterator[str]:
    yield "| intent | n | right | refused | warned | confidently wrong |"
    yield "|---|---|---|---|---|---|"
    for intent in INTENTS:
        chosen = [answer.outcome for answer in answers if answer.question.intent == intent]
        if chosen:
            counts = " | ".join(
                str(chosen.count(name)) for name in ("right", "refused", "warned", "wrong")
            )
            yield f"| {intent} | {len(chosen)} | {counts} |"
    yield ""
