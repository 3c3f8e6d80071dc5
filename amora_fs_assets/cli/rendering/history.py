"""The registry's history for people (tables) and for programs (plain data)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich.markup import escape
from rich.table import Table

from amora_fs_assets.cli.rendering.plan import plain_change
from amora_fs_assets.domain.records import Output, RunRecord
from amora_fs_assets.operations.registry.history import Version


def versions_table(versions: Sequence[Version], *, narrow: bool = False) -> Table:
    """A row per state: the time of its apply, its version, and its changes from the previous state.

    With `narrow` the rows have more lines and fit into 80 columns.
    """
    heads = ("applied",) if narrow else ("applied", "snapshot", "version")
    table = Table(*heads, "changes", title="Definitions", title_justify="left")
    for each in versions:
        changes = "\n".join(_change(plain_change(change)) for change in each.changes)
        state = (_time(each.snapshot.applied_at), each.snapshot.hash[:12], each.version)
        table.add_row(*(["\n".join(filter(None, state))] if narrow else state), changes)
    return table


def narrow_runs_table(runs: Sequence[RunRecord]) -> Table:
    """A row per run, as text of several lines that fits into 80 columns."""
    table = Table("started", "run", title="Runs", title_justify="left")
    for run in runs:
        failed = run.status != "succeeded"
        first = f"{run.kind} {'[red]' if failed else ''}{run.status}{'[/red]' if failed else ''}, {run.rows:,} rows"
        wrote = ", ".join(filter(None, map(_output, run.outputs)))
        second = ", ".join(filter(None, (_interval(run), wrote, _commit(run))))
        table.add_row(
            _time(run.started_at),
            "\n".join(filter(None, (f"{first} in {_took(run)}", second, escape(run.run_id)))),
        )
    return table


def runs_table(runs: Sequence[RunRecord]) -> Table:
    """A row per run: its time, kind and result."""
    table = Table("started", "kind", "status", "interval", "rows", "took", title="Runs", title_justify="left")
    table.add_column("wrote", no_wrap=True)
    table.add_column("commit")
    table.add_column("run", overflow="fold")  # in full, for --as-of RUN
    for run in runs:
        colour = "green" if run.status == "succeeded" else "red"
        status = f"[{colour}]{run.status}[/{colour}]"
        wrote = "\n".join(map(_output, run.outputs))
        table.add_row(_time(run.started_at), run.kind, status, _interval(run), f"{run.rows:,}", _took(run), wrote,
                      _commit(run), escape(run.run_id))  # fmt: skip
    return table


def changes_table(changes: Sequence[dict[str, Any]]) -> Table:
    """A row per change."""
    table = Table("class", "changes")
    for change in changes:
        table.add_row(change["class"], _change(change))
    return table


def plain_history(versions: Sequence[Version], runs: Sequence[RunRecord]) -> dict[str, Any]:
    """The history in its JSON form."""
    return {
        "versions": [
            {
                "applied_at": each.snapshot.applied_at.isoformat(),
                "snapshot": each.snapshot.hash,
                "version": each.version,
                "changes": [plain_change(change) for change in each.changes],
            }
            for each in versions
        ],
        "runs": [
            {
                "started_at": run.started_at.isoformat(),
                "kind": run.kind,
                "status": run.status,
                "start": run.interval.start.isoformat() if run.interval else None,
                "end": run.interval.end.isoformat() if run.interval else None,
                "duration": run.duration.total_seconds(),
                "rows": run.rows,
                "bytes": run.bytes,
                "run_id": run.run_id,
                "sequence": run.sequence,
                "commit": run.commit,
                "code_version": run.code_version,
                "schema_hash": run.schema_hash,
                "sql_hash": run.sql_hash,
                "inputs": [asdict(each) for each in run.inputs],
                "outputs": [asdict(each) for each in run.outputs],
                "checks": {check.name: {rule.rule: rule.failed_rows for rule in check.rules} for check in run.checks},
                "error": run.error,
            }
            for run in runs
        ],
    }


def _change(change: dict[str, Any]) -> str:
    differences = "; ".join(each["what"] for each in change["differences"])
    return escape(
        f"{change['action']} {change['kind']} '{change['name']}'" + (f": {differences}" if differences else "")
    )


def _interval(run: RunRecord) -> str:
    return f"{run.interval.start:%Y-%m-%d} - {run.interval.end:%Y-%m-%d}" if run.interval else ""


def _took(run: RunRecord) -> str:
    return f"{run.duration.total_seconds():.1f} s"


def _commit(run: RunRecord) -> str:
    return run.commit[:7] + ("*" if run.commit.endswith("-dirty") else "")


def _output(output: Output) -> str:
    published = "" if output.sequence is None else f"publication {output.sequence}"
    return published if output.generation is None else f"generation {output.generation}"


def _time(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}"
