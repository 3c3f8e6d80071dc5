"""amora-fs: the feature store from a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from amora_fs_assets.cli import audit as cli_audit
from amora_fs_assets.cli import configuration as cli_configuration
from amora_fs_assets.cli import definitions as cli_definitions
from amora_fs_assets.cli import features as cli_features
from amora_fs_assets.cli import importing as cli_importing
from amora_fs_assets.cli import online as cli_online
from amora_fs_assets.cli import project as cli_project
from amora_fs_assets.cli import registry as cli_registry
from amora_fs_assets.cli import removal as cli_removal
from amora_fs_assets.cli import testing as cli_testing
from amora_fs_assets.cli import training_sets as cli_training_sets
from amora_fs_assets.cli.progress import Reported
from amora_fs_assets.cli.shared import Group, examples, explained, time
from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import count_of_entities
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.project import nearest
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    from amora_fs_assets.operations.online.materialize import Materialized

SAMPLE = "amora_fs_assets.features"
SAMPLE_CLOCK = "2014-01-01T05:00Z"
"""The end of the sample's data."""
READING = (
    "entities", "feature-views", "get-historical", "history", "lineage", "plan", "registry-dump", "services", "sources",
    "status", "training-sets",
)  # fmt: skip
"""Commands that can read an earlier state; the others change the present state."""
WITHOUT_STORE = ("demo", "import-feast", "init", "new")
"""Commands that create their own store, or need none."""


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "demo",
        "apply",
        "compute 2013-01-01 2013-02-01 --feature-views carrier_punctuality",
        "materialize-incremental",
        "status",
    ),
)
@click.version_option(package_name="amora-fs-assets")
@click.option(
    "--definitions",
    metavar="PACKAGE",
    help="Package with the definitions; by default the package in AMORA_FS_DEFINITIONS or in [tool.amora_fs] of "
    "pyproject.toml.",
)
@click.option("--as-of", help="Read the registry as of a time, a run or a snapshot: see `amora-fs history`.")
@click.pass_context
@explained
def main(context: click.Context, definitions: str | None, as_of: str | None) -> None:
    """Compute features, load them online, inspect the feature store.

    Settings are AMORA_FS_* in the environment and [tool.amora_fs] in the nearest pyproject.toml. Without settings all
    stores are embedded in .amora_fs, in the project's folder. --definitions and --as-of may follow the command.
    """
    if as_of is not None and context.invoked_subcommand not in READING:
        raise click.UsageError(
            f"--as-of is for {', '.join(READING)}: '{context.invoked_subcommand}' changes the present state."
        )
    if context.invoked_subcommand in WITHOUT_STORE:
        return
    for folder in (str(nearest().folder), ""):  # the packages in the project's folder, and in the working directory
        sys.path.insert(0, folder)
    context.obj = FeatureStore(Settings.from_env(), definitions, as_of)


for _command in (
    *cli_audit.COMMANDS, *cli_importing.COMMANDS, *cli_project.COMMANDS, *cli_registry.COMMANDS, *cli_online.COMMANDS,
    *cli_definitions.COMMANDS, *cli_features.COMMANDS, *cli_configuration.COMMANDS, *cli_removal.COMMANDS,
    *cli_testing.COMMANDS, cli_training_sets.training_sets,
):  # fmt: skip
    main.add_command(_command)

_pick = click.option(
    "--feature-views",
    "--models",
    "--model",
    "views",
    multiple=True,
    metavar="TEXT",
    help="Names of views, comma-separated, or the option several times; all views by default.",
)


def _names(views: Sequence[str], known: Mapping[str, FeatureView]) -> list[str]:
    """The selected views; all known views if the option was not given, but none for an empty text."""
    if not known:
        raise click.ClickException("There are no feature views yet. Define one and run `amora-fs apply`.")
    names = [name.strip() for part in views for name in part.split(",") if name.strip()]
    if views and not names:
        raise click.UsageError("--feature-views has no name. Name a view, or leave the option out for all views.")
    return names or list(known)


@main.command(
    epilog=examples(
        "compute",
        "compute --late",
        "compute 2013-01-01 2013-02-01",
        "compute 2013-01-01 2013-01-01T12:00Z --feature-views carrier_punctuality,network_load",
    )
)
@click.argument("start", required=False, type=time)
@click.argument("end", required=False, type=time)
@_pick
@click.option("--late", is_flag=True, help="Compute intervals again whose source rows changed; without times.")
@click.pass_obj
@explained
def compute(
    store: FeatureStore, start: datetime | None, end: datetime | None, views: Sequence[str], *, late: bool
) -> None:
    """Compute [START, END) of feature views: sources -> checks -> offline store.

    Without START and END: compute exactly the intervals that are missing, stale or part-computed up to now, as in
    `status` and `plan`. With --late: compute exactly the intervals again whose source rows changed since they were
    read, as in `plan --late`.
    """
    if start is None or end is None or late:
        if start is not None:
            raise click.UsageError("Give both START and END, or neither, to compute missing intervals or --late.")
        _compute_missing(store, _names(views, store.code.feature_views), late=late)
        return
    with Reported("Computing", _published, timed=True) as progress:
        store.compute(start, end, _names(views, store.code.feature_views), progress=progress)


def _published(publication: Publication | None) -> str:
    return "checked" if publication is None else f"{publication.rows:,} rows published"


def _compute_missing(store: FeatureStore, views: list[str], *, late: bool) -> None:
    computed, compute_ = 0, store.compute_late if late else store.compute_missing
    with Reported("Computing", _intervals, lines=False) as progress:
        for publication in compute_(views, progress=progress):
            computed += 1
            click.echo(f"{publication.name} {publication.computed}: {publication.rows:,} rows published")
    if not computed:
        click.echo("Nothing to compute: all intervals are current.")


def _intervals(publications: tuple[Publication, ...] | None) -> str:
    if not publications:
        return "current"
    rows = sum(publication.rows for publication in publications)
    return f"{rows:,} rows published in {len(publications)} interval{'s' * (len(publications) != 1)}"


@main.command(
    epilog=examples("materialize 2013-01-01 2014-01-01", "materialize 2013-12-01 2014-01-01 --models route_delays")
)
@click.argument("start", type=time)
@click.argument("end", type=time)
@_pick
@click.pass_obj
@explained
def materialize(store: FeatureStore, start: datetime, end: datetime, views: Sequence[str]) -> None:
    """Load the entities with rows in [START, END] online; other entities do not change."""
    with Reported("Loading", _written) as progress:
        store.materialize(start, end, _online(store, views), progress=progress)


@main.command(
    "materialize-incremental",
    epilog=examples("materialize-incremental", "materialize-incremental 2013-06-01 --feature-views route_delays"),
)
@click.argument("end", required=False, type=time)
@_pick
@click.option("--full", is_flag=True, help="Fill a new generation with all rows.")
@click.pass_obj
@explained
def materialize_incremental(store: FeatureStore, end: datetime | None, views: Sequence[str], *, full: bool) -> None:
    """Load publications since the last load, and rows whose time has come, up to END; by default now."""
    with Reported("Loading", _written) as progress:
        store.materialize_incremental(end, _online(store, views), full=full, progress=progress)


def _online(store: FeatureStore, views: Sequence[str]) -> list[str]:
    return _names(views, {view.name: view for view in store.list_feature_views()})


def _written(loaded: Materialized) -> str:
    return f"{count_of_entities(loaded.rows)} written"


@main.command(epilog=examples("status", "status carrier_punctuality"))
@click.argument("view", required=False)
@click.pass_obj
@explained
def status(store: FeatureStore, view: str | None) -> None:
    """Show each feature view's coverage, last publication and online state, or all details of VIEW.

    An interval is current, stale (computed by another definition or from older inputs), missing, or part-computed (the
    clock has moved on since): `amora-fs compute` computes the intervals that are not current.
    """
    from amora_fs_assets.operations.offline.coverage_words import lines, summary

    if view is not None:
        click.echo(cli_online.online_status(store, view))
        click.echo("\n".join(lines(store.coverage([view]).values())))
        return
    from rich.table import Table

    from amora_fs_assets.cli.rendering.tables import console

    head = store.registry.head()
    click.echo(f"Registry: {store.registry.url} ({head.hash[:12] if head else 'nothing applied yet: amora-fs apply'})")
    table = Table()
    for heading in ("feature view", "coverage", "published", "interval", "rows", "online"):
        table.add_column(heading, no_wrap=True)
    published = {each.name: each for each in store.offline.publications(newest=True)}
    covered = store.coverage()
    for each in store.list_feature_views():
        last = published.get(each.name)
        generation = store.online.generation(each)
        behind = (
            "" if generation is None or last is None or last.sequence <= generation.published_through else ", behind"
        )
        table.add_row(
            each.name,
            summary(covered[each.name]) if each.name in covered else "",
            "(external table)" if each.table else (f"{last.published_at:%Y-%m-%d %H:%M}" if last else "never"),
            f"{last.start:%Y-%m-%d} - {last.end:%Y-%m-%d}"
            if last and last.start and last.end and not each.table
            else "",
            f"{last.rows:,}" if last and not each.table else "",
            f"generation {generation.number}{behind}" if generation else "never loaded",
        )
    console().print(table)
    for line in lines(covered.values()):
        click.echo(line)


@main.command(epilog=examples("stop"))
@click.pass_obj
@explained
def stop(store: FeatureStore) -> None:
    """Stop the embedded online server and keep its data."""
    from amora_fs_assets.stores.embedded.server import stop as stop_server

    click.echo("Stopped." if stop_server(store.settings.home) else "No embedded server was running.")


@main.command(epilog=examples("demo", "demo --until 2013-02-10", "demo --now"))
@click.option("--until", type=time, help="Fix the clock at this time; by default at the end of 2013 in New York.")
@click.option("--now", is_flag=True, help="Move the flights by whole days to end last midnight, and let the clock run.")
@explained
def demo(until: datetime | None, now: bool) -> None:  # noqa: FBT001
    """Run the whole sample: a year of flights, its training set, online features."""
    from amora_fs_assets.demo import run
    from amora_fs_assets.features import nycflights

    nycflights.data_folder()  # raise before anything is written
    named = Settings.from_env().definitions
    if named not in ("", SAMPLE) and not os.environ.get("AMORA_FS_HOME"):
        raise SettingsError(
            f"This folder is in a project with the definitions {named}: the sample would be applied to that project's "
            "registry. Run `amora-fs demo` in another folder, or set AMORA_FS_HOME to another folder."
        )
    if now and until:
        raise click.UsageError("--until fixes the clock and --now lets it run: give only one of them.")
    # The Dagster code location reads its settings from the environment.
    if now:
        os.environ.pop("AMORA_FS_NOW", None)
        os.environ[nycflights.DAYS_LATER] = str(nycflights.days_to(datetime.now(UTC)))
    else:
        os.environ["AMORA_FS_NOW"] = until.isoformat() if until else os.environ.get("AMORA_FS_NOW") or SAMPLE_CLOCK
    run(FeatureStore(Settings.from_env(), SAMPLE))
