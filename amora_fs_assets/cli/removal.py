"""amora-fs delete, teardown: remove definitions, and all that the store holds of them."""

from __future__ import annotations

import click

from amora_fs_assets.cli.shared import examples, explained
from amora_fs_assets.feature_store import FeatureStore

_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command(epilog=examples("delete carrier_punctuality", "delete departure_delay --yes"))
@click.argument("name")
@_YES
@click.pass_obj
@explained
def delete(store: FeatureStore, name: str, yes: bool) -> None:  # noqa: FBT001
    """Remove the definition NAME from the registry, and a feature view's rows from the online store.

    NAME is an entity, source, feature view, service or training set that no other definition uses. Tables of the
    offline store stay. The next `apply` adds the definition again if the code still has it. Earlier states of the
    registry stay readable: see `history`.
    """
    from amora_fs_assets.operations.registry.removal import deletable

    if not yes:
        deletable(name, store.registry.catalogue())  # an unknown name is no question
        click.confirm(f"Remove '{name}' from the registry {store.registry.url}?", abort=True)
    snapshot = store.delete(name)
    click.echo(f"'{name}' was removed. Registry {store.registry.url} is at {snapshot.hash[:12]}.")


@click.command(epilog=examples("teardown", "teardown --tables --yes"))
@click.option("--tables", is_flag=True, help="Also drop the tables that the feature store wrote.")
@_YES
@click.pass_obj
@explained
def teardown(store: FeatureStore, tables: bool, yes: bool) -> None:  # noqa: FBT001
    """Remove all definitions from the registry, and all rows of their feature views from the online store.

    With --tables, the tables that the feature store wrote are dropped: feature views, loaded sources, training sets and
    internal tables, but no external table. Without it they stay; feature views that are applied again are computed
    again. Earlier states of the registry stay readable: see `history`.
    """
    applied = store.registry.catalogue()
    dropped = store.tables() if tables else []
    count = len(applied.feature_views)
    views = f"{count} feature view{'s' * (count != 1)}"
    click.echo(f"Registry {store.registry.url}: {views} and all other definitions are removed, online rows too.")
    for table in dropped:
        click.echo(f"  table {table} is dropped")
    if not yes:
        click.confirm("Do you want this?", abort=True)
    store.teardown(tables=tables)
    click.echo("Done.")


COMMANDS = (delete, teardown)
