"""amora-fs audit: whether views look into the future."""

from __future__ import annotations

import click

from amora_fs_assets.cli.shared import examples, explained, time
from amora_fs_assets.feature_store import FeatureStore


@click.command(epilog=examples("audit", "audit carrier_punctuality", "audit --start 2013-05-01 --end 2013-06-01"))
@click.argument("views", nargs=-1)
@click.option(
    "--start", help="First instant of the audited rows, with --end; by default the last two periods with data."
)
@click.option("--end", help="The end of the audited rows.")
@click.option(
    "--instants",
    type=click.IntRange(1, 100),
    default=5,
    show_default=True,
    help="Number of instants to cut sources at.",
)
@click.option(
    "--parts",
    type=click.IntRange(0, 1000),
    default=7,
    show_default=True,
    help="The number of last days (or hours of an hourly view) that are computed one by one.",
)
@click.pass_obj
@explained
def audit(
    store: FeatureStore, views: tuple[str, ...], start: str | None, end: str | None, instants: int, parts: int
) -> None:
    """Test whether VIEWS (by default all) look into the future; exit code 1 if one does.

    Each view is computed from the source rows that were known at some instants, and day by day. Rows that differ are
    computed a second time. A difference is shown with the row, the columns, and the source row that leaked. Changes
    nothing.
    """
    from rich.console import Console

    interval = [None if value is None else time(value) for value in (start, end)]
    leaking = []
    with Console(stderr=True).status("Auditing ..."):
        for found in store.audit(views or None, *interval, instants=instants, parts=parts):
            click.echo(f"{found.view}: {found.summary}")
            leaking += [found.view] * (not found.passed)
            for finding in found.findings:
                click.echo("  " + str(finding).replace("\n", "\n  "))
    if leaking:
        raise click.ClickException(
            f"The rows of {', '.join(leaking)} depend on more than was known at their event_timestamp, or on how time "
            "is divided. Label rows with `known_at`, aggregate over preceding rows only, and give a sufficient "
            "lookback. See docs/writing-features.md."
        )


COMMANDS = (audit,)
