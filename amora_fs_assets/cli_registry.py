"""amora-fs plan, apply: from code to registry."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from amora_fs_assets.cli_shared import explained
from amora_fs_assets.domain.errors import BreakingChanges
from amora_fs_assets.feature_store import FeatureStore

if TYPE_CHECKING:
    from amora_fs_assets.operations.plan import Plan

_prune = click.option("--prune", is_flag=True, help="Also forget what is gone from the code.")
_format = click.option(
    "--format", "form", type=click.Choice(["tree", "markdown", "json"]), default="tree", show_default=True
)
BREAKING = 3
"""Exit code of what is, or would be, breaking."""


@click.command()
@_prune
@_format
@click.option("--scan/--no-scan", default=True, help="Ask the offline store how much computing would read.")
@click.pass_obj
@explained
def plan(store: FeatureStore, prune: bool, form: str, scan: bool) -> None:  # noqa: FBT001
    """Show what `apply` would change and whom that hits; change nothing.

    Each change is compatible, needs recompute, or is breaking. Exit code 0: no changes; 2: changes; 3: breaking ones.
    """
    planned = store.plan(prune=prune, scan=scan)
    _show(planned, form)
    sys.exit(planned.exit_code)


@click.command()
@_prune
@click.option("--allow-breaking", is_flag=True, help="Apply what breaks readers, too.")
@_format
@click.pass_obj
@explained
def apply(store: FeatureStore, prune: bool, allow_breaking: bool, form: str) -> None:  # noqa: FBT001
    """Make the code's definitions what counts.

    Breaking changes are refused, with exit code 3 and nothing changed, unless they are allowed.
    """
    planned = store.plan(prune=prune)
    _show(planned, form)
    try:
        snapshot = store.apply(prune=prune, allow_breaking=allow_breaking)
    except BreakingChanges as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(BREAKING)
    click.echo(f"Registry {store.registry.url} is at {snapshot.hash[:12]}.", err=form == "json")


def _show(planned: Plan, form: str) -> None:
    from rich.console import Console

    from amora_fs_assets.operations import plan_report

    match form:
        case "json":
            click.echo(json.dumps(plan_report.plain(planned), indent=2))
        case "markdown":
            click.echo(plan_report.markdown(planned))
        case _:
            Console().print(plan_report.tree(planned))
