"""amora-fs: the feature store from a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from amora_fs_assets import cli_online
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.feature_store import DEFINITIONS, FeatureStore
from amora_fs_assets.settings import Settings

_Command = TypeVar("_Command", bound=Callable[..., Any])
SAMPLE_CLOCK = "2014-01-01T05:00Z"
"""Where the sample's data end."""


def _explained(command: _Command) -> _Command:
    """Errors of the feature store as one message, without a traceback; exit code 1."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except FeatureStoreError as error:
            raise click.ClickException(str(error)) from error

    return run  # type: ignore[return-value]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="amora-fs-assets")
@click.option("--definitions", default=DEFINITIONS, show_default=True, help="Package that holds the definitions.")
@click.pass_context
@_explained
def main(context: click.Context, definitions: str) -> None:
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
        FeatureStore(Settings.from_env(), definitions) if context.invoked_subcommand != "demo" else definitions
    )


for _command in cli_online.COMMANDS:
    main.add_command(_command)

_pick = click.option(
    "--feature-views", "--models", "views", default="", help="Their names, comma-separated; all by default."
)


def _names(views: str) -> list[str] | None:
    return [name.strip() for name in views.split(",") if name.strip()] or None


@main.command()
@click.pass_obj
@_explained
def plan(store: FeatureStore) -> None:
    """Show what `apply` would change; change nothing."""
    click.echo(store.plan())


@main.command()
@click.option("--prune", is_flag=True, help="Also forget what is gone from the code.")
@click.pass_obj
@_explained
def apply(store: FeatureStore, prune: bool) -> None:  # noqa: FBT001
    """Make the code's definitions what counts."""
    click.echo(store.plan(prune=prune))
    snapshot = store.apply(prune=prune)
    click.echo(f"Registry {store.registry.url} is at {snapshot.hash[:12]}.")


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
@click.option("--full", is_flag=True, help="Fill a new generation with everything.")
@click.pass_obj
@_explained
def materialize_incremental(store: FeatureStore, end: str | None, views: str, full: bool) -> None:  # noqa: FBT001
    """Bring the online store up to END, now by default: what was published since, and rows whose time has come."""
    for name, loaded in store.materialize_incremental(end, _names(views), full=full).items():
        click.echo(f"{name}: {loaded.rows:,} entities written")


@main.command()
@click.argument("view", required=False)
@click.pass_obj
@_explained
def status(store: FeatureStore, view: str | None) -> None:
    """Show each feature view's last publication and its state online, or all about VIEW online."""
    if view is not None:
        click.echo(cli_online.online_status(store, view))
        return
    from rich.console import Console
    from rich.table import Table

    head = store.registry.head()
    click.echo(f"Registry: {store.registry.url} ({head.hash[:12] if head else 'nothing applied yet: amora-fs apply'})")
    table = Table("feature view", "published", "interval", "rows", "online")
    published = {each.name: each for each in store.offline.publications()}
    for each in store.list_feature_views():
        last = published.get(each.name)
        generation = store.online.generation(each)
        behind = "" if generation is None or last is None or last.sequence <= generation.cursor else ", behind"
        table.add_row(
            each.name,
            "(somebody else's table)" if each.table else (f"{last.published_at:%Y-%m-%d %H:%M}" if last else "never"),
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
