"""amora-fs plan, apply, history, lineage: definitions from code to registry, their history and lineage."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from amora_fs_assets.cli.shared import examples, explained, format_option
from amora_fs_assets.domain.errors import BreakingChanges, LeaksFound, OfflineStoreError
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.stores.registry import feast_registry

if TYPE_CHECKING:
    from amora_fs_assets.operations.offline.coverage import Coverage
    from amora_fs_assets.operations.registry.plan import Plan
    from amora_fs_assets.operations.several import Attempt, Progress

_prune = click.option("--prune", is_flag=True, help="Also remove definitions that are no longer in the code.")
_format = format_option("tree", "markdown", "json", words="For people, for a pull request, for programs.")
BREAKING = 3
"""Exit code for breaking changes."""


@click.command(
    epilog=examples(
        "plan", "plan --late", "plan --every 15", "plan --format markdown", "--definitions shop.features plan"
    )
)
@_prune
@_format
@click.option("--scan/--no-scan", default=True, help="Show how much the computations would read.")
@click.option("--late", is_flag=True, help="Also show source rows that changed after they were read.")
@click.option(
    "--every",
    type=click.IntRange(1, 24 * 60),
    metavar="MINUTES",
    help="Also show the reads of a day in which automation computes the newest rows this often.",
)
@click.pass_obj
@explained
def plan(store: FeatureStore, prune: bool, form: str, scan: bool, late: bool, every: int | None) -> None:  # noqa: FBT001
    """Show the changes of `apply`, the affected definitions and the intervals to compute; change nothing.

    Each change is compatible, needs recompute, or is breaking. The plan also shows the intervals of unchanged views
    that are missing, stale or part-computed; `amora-fs compute` computes exactly these intervals.

    Exit code 0: no changes, even if intervals must be computed; 2: changes; 3: breaking changes.
    """
    often = timedelta(minutes=every) if every is not None else None
    planned = store.plan(prune=prune, scan=scan, late=late, every=often)
    _show(planned, form)
    sys.exit(planned.exit_code)


@click.command(epilog=examples("apply", "apply --prune", "apply --allow-breaking", "apply --allow-leaks"))
@_prune
@click.option("--allow-breaking", is_flag=True, help="Also apply breaking changes.")
@click.option("--allow-leaks", is_flag=True, help="Also apply views that look into the future.")
@_format
@click.pass_obj
@explained
def apply(store: FeatureStore, prune: bool, allow_breaking: bool, allow_leaks: bool, form: str) -> None:  # noqa: FBT001
    """Apply the code's definitions to the registry.

    Breaking changes are refused, with exit code 3 and nothing changed, unless they are allowed. New and changed views
    whose sources have rows are audited, as in `audit`, and refused with exit code 1 if they look into the future. If
    another process applies at the same time, the code is planned again.
    """
    tried: list[Plan] = []

    def check(planned: Plan) -> None:
        try:
            with _auditing() as progress:
                store.refuse_leaks(planned, progress=progress)
        except LeaksFound as error:
            if not allow_leaks:
                _show(planned, form)
                raise
            click.echo(
                f"These views are applied all the same, since --allow-leaks was given:\n{error.findings}", err=True
            )

    try:
        audited = check if store.settings.audit_at_apply else None
        snapshot = store.apply(
            prune=prune, allow_breaking=allow_breaking, allow_leaks=True, show=tried.append, check=audited
        )
        _show(tried[-1], form)
    except BreakingChanges as error:
        _show(tried[-1], form)
        click.echo(f"Error: {error}", err=True)
        sys.exit(BREAKING)
    click.echo(f"Registry {store.registry.url} is at {snapshot.hash[:12]}.", err=form == "json")
    if not feast_registry.installed():
        said = f"registry.db for Feast's clients was not written, since Feast is not installed. {feast_registry.HINT}"
        click.echo(said, err=form == "json")


@contextmanager
def _auditing() -> Iterator[Progress]:
    """Shows on stderr which view is audited, and the results."""
    from rich.console import Console

    status = Console(stderr=True).status("Auditing ...")

    def progress(attempt: Attempt) -> None:
        if attempt.seconds is None:
            status.update(f"Auditing {attempt.view} ({attempt.number} of {attempt.of}) ...")
        elif attempt.result is not None and (attempt.result.rows or attempt.result.skipped):
            click.echo(f"{attempt.view}: {attempt.result.summary}", err=True)

    with status:
        yield progress


@click.command("export-feast", epilog=examples("export-feast", "export-feast carrier_punctuality"))
@click.argument("feature_views", nargs=-1)
@click.pass_obj
@explained
def export_feast(store: FeatureStore, feature_views: tuple[str, ...]) -> None:
    """Write the rows of feature views to Parquet files for Feast's clients, by default of all views.

    For the embedded store, whose tables Feast cannot read: registry.db names these files. Views that were not computed
    yet are left out. Run it again after a computation, since the files do not change by themselves.
    """
    for name, rows in store.export_for_feast(feature_views or None).items():
        click.echo(f"{name}: {rows:,} rows")


@click.command(epilog=examples("history", "history carrier_punctuality", "history --between 2026-01-01 2026-02-01"))
@click.argument("name", required=False)
@click.option("--between", nargs=2, metavar="OLD NEW", help="Only the changes from one state to another.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1_000_000),
    default=20,
    show_default=True,
    help="Number of states and runs, newest first.",
)
@format_option("table", "json")
@click.pass_obj
@explained
def history(store: FeatureStore, name: str | None, between: tuple[str, str] | None, limit: int, form: str) -> None:
    """Show all applies with their times and changes; for a NAME its versions, runs and present coverage.

    OLD and NEW are times in ISO 8601, first digits of a snapshot's hash, or ids of runs, as for `amora-fs --as-of`.
    """
    from amora_fs_assets.cli.rendering.history import (
        changes_table,
        narrow_runs_table,
        plain_history,
        runs_table,
        versions_table,
    )
    from amora_fs_assets.cli.rendering.plan import plain_change
    from amora_fs_assets.cli.rendering.tables import NARROW, console
    from amora_fs_assets.operations.offline import coverage_words as coverage_report
    from amora_fs_assets.operations.registry import history as verb

    if between:
        changes = verb.between(store.registry, *between)
        shown = [plain_change(change) for change in changes if name in (None, change.name)]
        _print(shown, form, lambda: [changes_table(shown)])
        return
    versions = list(islice(verb.versions(store.registry, name), limit))
    runs = [] if name is None else list(store.registry.records(name, limit=limit))
    covered = _coverage(store, name)
    plain = plain_history(versions, runs) | ({} if covered is None else {"coverage": coverage_report.plain(covered)})
    narrow = console(folds=True).width < NARROW
    runs_of = narrow_runs_table if narrow else runs_table
    _print(plain, form, lambda: [versions_table(versions, narrow=narrow), runs_of(runs)])
    if form == "table" and covered is not None:
        click.echo("\n".join([f"Coverage now: {coverage_report.summary(covered)}", *coverage_report.lines([covered])]))


def _coverage(store: FeatureStore, name: str | None) -> Coverage | None:
    """The coverage of a view; None for other definitions, and if the offline store cannot be read."""
    if name not in {view.name for view in store.list_feature_views() if view.table is None}:
        return None
    try:
        return store.coverage([str(name)])[str(name)]
    except OfflineStoreError as error:
        click.echo(f"The coverage of '{name}' is unknown: {error}", err=True)
        return None


@click.command(epilog=examples("lineage departure_delay", "lineage carrier_punctuality --column late_share_24h"))
@click.argument("name")
@click.option("--column", help="Only this column; for a service, view:feature.")
@format_option("tree", "json")
@click.pass_obj
@explained
def lineage(store: FeatureStore, name: str, column: str | None, form: str) -> None:
    """Show the inputs and the dependents of a source, view, service or training set.

    Columns come from the runs of the applied definition; with `amora-fs --as-of`, of the definition in that state.
    """
    from amora_fs_assets.cli.rendering.lineage import trees
    from amora_fs_assets.cli.rendering.tables import console
    from amora_fs_assets.operations.registry.lineage_graph import lineage as verb

    found = verb(store.registry, name, column)
    if form == "json":
        click.echo(json.dumps(found.to_plain(), indent=2))
        return
    for tree in trees(found):
        console().print(tree)


def _print(plain: Any, form: str, tables: Callable[[], list[Any]]) -> None:
    from amora_fs_assets.cli.rendering.tables import console

    if form == "json":
        click.echo(json.dumps(plain, indent=2))
    else:
        out = console(folds=True)
        for table in tables():
            if table.row_count:
                table.box = table.box if out.is_terminal else None
                out.print(table)


def _show(planned: Plan, form: str) -> None:
    from amora_fs_assets.cli.rendering import plan as plan_report
    from amora_fs_assets.cli.rendering.tables import console

    match form:
        case "json":
            click.echo(json.dumps(plan_report.plain(planned), indent=2))
        case "markdown":
            click.echo(plan_report.markdown(planned))
        case _:
            console().print(plan_report.tree(planned))


COMMANDS = (plan, apply, export_feast, history, lineage)
