"""A plan for people (a tree), for pull requests (Markdown) and for programs (plain data)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.tree import Tree

from amora_fs_assets.domain.changes import Change, Severity
from amora_fs_assets.domain.time import Interval, Period
from amora_fs_assets.operations.offline.corrections import Correction
from amora_fs_assets.operations.registry.daily_reads import total
from amora_fs_assets.operations.registry.impact import Infrastructure, Recompute, Scan
from amora_fs_assets.operations.registry.plan import Plan

_COLOURS = {Severity.COMPATIBLE: "green", Severity.RECOMPUTE: "yellow", Severity.BREAKING: "red"}
_SIGNS = {"added": "+", "changed": "~", "removed": "-"}
_ACTIONS = {"make": "will be created", "leave": "will no longer be used"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def tree(plan: Plan) -> Tree:
    """Changes with their differences and affected definitions; intervals to compute; new and unused tables."""
    if plan.empty:
        root = Tree("[bold]No changes.[/bold]")
    else:
        count = len(plan.changes)
        colour = _COLOURS[plan.severity]
        root = Tree(f"[bold]{count} change{'s' * (count != 1)}[/bold], at worst [{colour}]{plan.severity}[/{colour}]")
    for change in plan.changes:
        colour = _COLOURS[change.severity]
        title = f"[{colour}]{_SIGNS[change.action]} {escape(str(change))}: {change.severity}[/{colour}]"
        branch = root.add(title)
        for difference in change.differences:
            colour = _COLOURS[difference.severity]
            branch.add(f"[{colour}]{escape(difference.what)}[/{colour}]")
        for hit in plan.hits[change]:
            branch.add(f"affects [bold]{escape(str(hit))}[/bold]")
    _add_work(root, plan)
    return root


def _add_work(root: Tree, plan: Plan) -> None:
    """Intervals to compute; tables and generations; definitions kept until --prune."""
    if plan.recompute:
        branch = root.add("[bold]To compute[/bold]")
        for each in plan.recompute:
            branch.add(
                escape(f"{each.view}, {_interval(each.interval)}: {each.because}{_scanned(each.scan, '; reads ')}")
            )
    if plan.late:
        branch = root.add("[bold]Sources that changed since they were read[/bold]: amora-fs compute --late")
        for late in plan.late:
            branch.add(escape(f"{late.view}, {_interval(late.interval)}: {_changed(late)}"))
    if plan.day:
        branch = root.add("[bold]A day of automation[/bold], computations only")
        for daily in (*plan.day, total(plan.day)):
            branch.add(
                escape(f"{daily.view}: {daily.runs:,} run{'s' * (daily.runs != 1)}{_scanned(daily.scan, ', read ')}")
            )
    _add_unread(root, plan)
    if plan.infrastructure:
        branch = root.add("[bold]Tables and generations[/bold]")
        for part in plan.infrastructure:
            branch.add(escape(_part(part)))
    if plan.kept:
        branch = root.add("[bold]No longer in the code, kept until --prune[/bold]")
        for name in plan.kept:
            branch.add(escape(name))


def _add_unread(root: Tree, plan: Plan) -> None:
    """Tables of other systems that cannot be read, and why intervals are unknown."""
    if plan.unfit:
        branch = root.add("[bold]Not readable now[/bold]: computations and reads of these fail")
        for problem in plan.unfit:
            branch.add(escape(problem))
    if plan.unread:
        root.add(escape(f"The missing and stale intervals are unknown: {plan.unread}"))


def markdown(plan: Plan) -> str:
    """The plan as a report for a pull request, with Amora's headings."""
    changes = [
        [
            change.action,
            change.kind,
            f"`{change.name}`",
            str(change.severity),
            "<br>".join(each.what for each in change.differences),
            "<br>".join(map(str, plan.hits[change])),
        ]
        for change in plan.changes
    ]
    parts = [
        "## Amora :: Feature Store :: Registry objects diff",
        _table(["change", "kind", "name", "class", "what", "affects"], changes) or "No changes.",
        "## Amora :: Feature Store :: Infrastructure diff",
        _table(
            ["action", "what", "name"],
            [[_ACTIONS[each.action], each.what, f"`{each.name}`"] for each in plan.infrastructure],
        )
        or "No changes.",
    ]
    if plan.recompute:
        rows = [[f"`{r.view}`", _interval(r.interval), r.because, _scanned(r.scan)] for r in plan.recompute]
        parts += ["## To compute", _table(["view", "interval", "because", "reads"], rows)]
    if plan.late:
        late = [[f"`{each.view}`", _interval(each.interval), _changed(each)] for each in plan.late]
        parts += ["## Sources that changed since they were read", _table(["view", "interval", "what"], late)]
    if plan.day:
        days = [[f"`{each.view}`", f"{each.runs:,}", _scanned(each.scan)] for each in (*plan.day, total(plan.day))]
        parts += ["## A day of automation, computations only", _table(["view", "runs", "read"], days)]
    if plan.unfit:
        parts += ["## Not readable now", "\n".join(f"- {problem}" for problem in plan.unfit)]
    if plan.unread:
        parts += ["## The missing and stale intervals are unknown", plan.unread]
    if plan.kept:
        parts += ["## No longer in the code, kept until --prune", "\n".join(f"- {name}" for name in plan.kept)]
    return "\n\n".join(parts) + "\n"


def plain(plan: Plan) -> dict[str, Any]:
    """The plan in its JSON form."""
    return {
        "exit_code": plan.exit_code,
        "class": None if plan.empty else str(plan.severity),
        "registry_head": plan.parent,
        "changes": [plain_change(change, list(map(str, plan.hits[change]))) for change in plan.changes],
        "recompute": [_plain_recompute(each) for each in plan.recompute],
        "infrastructure": [
            {"action": each.action, "what": each.what, "name": each.name} for each in plan.infrastructure
        ],
        "late": [
            {
                "feature_view": each.view,
                "start": each.interval.start.isoformat(),
                "end": each.interval.end.isoformat(),
                "source": each.source,
                "rows_then": each.then,
                "rows_now": each.now,
            }
            for each in plan.late
        ],
        "day": [{"feature_view": each.view, "runs": each.runs, "scan": _plain_scan(each.scan)} for each in plan.day],
        "unfit": list(plan.unfit),
        "unread": plan.unread or None,
        "kept": list(plan.kept),
    }


def plain_change(change: Change, hits: Sequence[str] = ()) -> dict[str, Any]:
    """One change in its JSON form."""
    return {
        "action": change.action,
        "kind": change.kind,
        "name": change.name,
        "class": str(change.severity),
        "differences": [{"what": each.what, "class": str(each.severity)} for each in change.differences],
        "hits": list(hits),
    }


def _plain_recompute(each: Recompute) -> dict[str, Any]:
    return {
        "feature_view": each.view,
        "start": each.interval.start.isoformat(),
        "end": each.interval.end.isoformat(),
        "because": each.because,
        "scan": None if each.scan is None else _plain_scan(each.scan),
    }


def _plain_scan(scan: Scan) -> dict[str, Any]:
    note = {"note": scan.note} if scan.note else {}
    return {"unit": scan.unit, "amount": scan.amount, "unknown": scan.reason or None, **note}


def _scanned(scan: Scan | None, before: str = "") -> str:
    if scan is None:
        return ""
    if scan.amount is None:
        return f"{before}unknown: {scan.reason}"
    note = f" ({scan.note})" if scan.note else ""
    if scan.unit == "rows":
        return f"{before}{scan.amount:,} rows{note}"
    amount, unit = float(scan.amount), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{before}{amount:.3g} {_UNITS[unit]}{note}"


def _changed(late: Correction) -> str:
    return f"source '{late.source}' {late.what}"


def _part(part: Infrastructure) -> str:
    return f"{part.what} {part.name}: {_ACTIONS[part.action]}"


def _interval(interval: Interval) -> str:
    return f"{_instant(interval.start)} - {_instant(interval.end)}"


def _instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d}" if instant == Period.DAY.floor(instant) else f"{instant:%Y-%m-%d %H:%M}Z"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
