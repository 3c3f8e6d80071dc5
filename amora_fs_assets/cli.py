"""amora-fs: the feature store from a terminal."""

from __future__ import annotations

import os
import sys
import time

import click

from amora_fs_assets import cli_registry
from amora_fs_assets.cli_shared import explained as _explained
from amora_fs_assets.feature_store import DEFINITIONS, FeatureStore
from amora_fs_assets.settings import Settings

SAMPLE_CLOCK = "2014-01-01T05:00Z"
"""Where the sample's data end."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="amora-fs-assets")
@click.option("--definitions", default=DEFINITIONS, show_default=True, help="Package that holds the definitions.")
@click.option("--as-of", help="Read the registry as of a time, a run or a snapshot: see `amora-fs history`.")
@click.pass_context
@_explained
def main(context: click.Context, definitions: str, as_of: str | None) -> None:
    """Compute features, bring them online, look at the feature store.

    Settings are the environment's AMORA_FS_*; without any, everything is embedded in ./.amora_fs.

    \b
    Examples:
      amora-fs demo
      amora-fs apply
      amora-fs compute 2013-01-01 2013-02-01 --feature-views carrier_punctuality
      amora-fs materialize-incremental
      amora-fs status
    """  # noqa: D301  (click's own mark)
    sys.path.insert(0, "")  # definitions beside which one stands
    context.obj = (
        FeatureStore(Settings.from_env(), definitions, as_of) if context.invoked_subcommand != "demo" else definitions
    )


_pick = click.option(
    "--feature-views", "--models", "views", default="", help="Their names, comma-separated; all by default."
)


def _names(views: str) -> list[str] | None:
    return [name.strip() for name in views.split(",") if name.strip()] or None


main.add_command(cli_registry.plan)
main.add_command(cli_registry.apply)
main.add_command(cli_registry.history)
main.add_command(cli_registry.lineage)


@main.command()
@click.argument("start")
@click.argument("end")
@_pick
@click.pass_obj
@_explained
def compute(store: FeatureStore, start: str, end: str, views: str) -> None:
    """Compute [START, END) of feature views: sources -> checks -> offline store."""
    for name in _names(views) or list(store.code.feature_views):
        store.code.feature_view(name)
    picked = _names(views)
    for view in [each.name for each in store.code.in_order if picked is None or each.name in picked]:
        began = time.perf_counter()
        publication = store.compute(start, end, [view])[view]
        what = "checked" if publication is None else f"{publication.rows:,} rows published"
        click.echo(f"{view}: {what} ({time.perf_counter() - began:.1f} s)")


@main.command()
@click.argument("start")
@click.argument("end")
@_pick
@click.pass_obj
@_explained
def materialize(store: FeatureStore, start: str, end: str, views: str) -> None:
    """Fill the online store anew with each entity's newest row of [START, END]."""
    for name, loaded in store.materialize(start, end, _names(views)).items():
        click.echo(f"{name}: {loaded.rows:,} entities online")


@main.command("materialize-incremental")
@click.argument("end", required=False)
@_pick
@click.pass_obj
@_explained
def materialize_incremental(store: FeatureStore, end: str | None, views: str) -> None:
    """Bring the online store up to END, now by default: what was published since, and rows whose time has come."""
    for name, loaded in store.materialize_incremental(end, _names(views)).items():
        click.echo(f"{name}: {loaded.rows:,} entities written")


@main.command()
@click.pass_obj
@_explained
def status(store: FeatureStore) -> None:
    """Show each feature view's last publication and its state online."""
    from rich.console import Console
    from rich.table import Table

    head = store.registry.head()
    click.echo(f"Registry: {store.registry.url} ({head.hash[:12] if head else 'nothing applied yet: amora-fs apply'})")
    table = Table("feature view", "published", "interval", "rows", "online")
    published = {each.name: each for each in store.offline.publications()}
    for view in store.list_feature_views():
        last = published.get(view.name)
        generation = store.online.generation(view)
        behind = "" if generation is None or last is None or last.sequence <= generation.cursor else ", behind"
        table.add_row(
            view.name,
            "(somebody else's table)" if view.table else (f"{last.published_at:%Y-%m-%d %H:%M}" if last else "never"),
            f"{last.start:%Y-%m-%d} - {last.end:%Y-%m-%d}" if last and last.start and last.end else "",
            f"{last.rows:,}" if last else "",
            f"generation {generation.number}{behind}" if generation else "never loaded",
        )
    Console().print(table)


@main.command()
@click.pass_obj
@_explained
def stop(store: FeatureStore) -> None:
    """Stop the embedded online server; its data stay."""
    from amora_fs_assets.stores.embedded_server import stop as stop_server

    click.echo("Stopped." if stop_server(store.settings.home) else "No embedded server was running.")


@main.command()
@click.option("--until", default="", help="Last partition to compute, such as 2013-02-01; all of the year by default.")
@click.pass_obj
@_explained
def demo(definitions: str, until: str) -> None:
    """Run the sample through everything: a year of flights, its training set, features online."""
    os.environ.setdefault("AMORA_FS_NOW", SAMPLE_CLOCK)  # the code location reads its settings from there
    from amora_fs_assets.demo import run

    run(FeatureStore(Settings.from_env(), definitions), until=until)
