"""amora-fs training-sets: build, list, show, compare, prune and hold the versions of training sets."""

from __future__ import annotations

import json
from typing import Any

import click

from amora_fs_assets.cli.shared import Group, examples
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.feature_store import FeatureStore


class _Explained(Group):
    """Errors of the feature store as one message, without a traceback; exit code 1."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except FeatureStoreError as error:
            raise click.ClickException(str(error)) from error


@click.group(
    "training-sets",
    cls=_Explained,
    epilog=examples("training-sets list departure_delay", "training-sets show departure_delay"),
)
def training_sets() -> None:
    """Build, list, show, compare, prune and hold the versions of training sets."""


@training_sets.command(epilog=examples("training-sets build departure_delay"))
@click.argument("name")
@click.pass_obj
def build(store: FeatureStore, name: str) -> None:
    """Build a version of the code's training set NAME, as Dagster does."""
    run = store.build_training_set(name)
    version, table = run.details["version"], run.details["table"]
    click.echo(f"{name} {version}: {run.rows:,} rows in {table}, checksum {run.details['checksum']}")


@training_sets.command("list")
@click.argument("name", required=False)
@click.pass_obj
def list_(store: FeatureStore, name: str | None) -> None:
    """List the versions of NAME, or of all training sets, newest first."""
    from rich.table import Table

    from amora_fs_assets.cli.rendering.tables import console
    from amora_fs_assets.operations.training.retention import held
    from amora_fs_assets.operations.training.versions import manifest_of, pruned, training_set_version

    table = Table("training set", "version", "rows", "columns", "checksum", "")
    for each in [name] if name else list(store.registry.catalogue().training_sets):
        if name:
            training_set_version(name, None, None, store.registry)  # raises for an unknown name
        gone, kept = pruned(each, store.registry), held(each, store.registry)
        for version in reversed(store.registry.manifests(each)):
            manifest = manifest_of(each, version, store.registry)
            columns = str(len(manifest["columns"]))
            state = "removed" if version in gone else f"held: {kept[version]}" if version in kept else ""
            table.add_row(each, version, f"{manifest['rows']:,}", columns, manifest["checksum"], state)
    console().print(table)


@training_sets.command()
@click.argument("name")
@click.argument("version", required=False)
@click.option("--as-of", help="The newest version up to this time.")
@click.option("--json", "as_json", is_flag=True, help="The whole manifest, with definitions and SQL.")
@click.pass_obj
def show(store: FeatureStore, name: str, version: str | None, as_of: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Show the inputs of a version of NAME, by default the newest version."""
    from rich.table import Table

    from amora_fs_assets.cli.rendering.tables import console
    from amora_fs_assets.operations.training.versions import manifest_of

    manifest = manifest_of(name, version, store.registry, as_of=as_of)
    if as_json:
        click.echo(json.dumps(manifest, indent=2))
        return
    for word in ("version", "table", "rows", "checksum", "first", "last", "service", "service_version", "run_id"):
        click.echo(f"{word.replace('_', ' ')}: {manifest[word]}")
    for each in manifest["inputs"]:
        click.echo(f"input: {each['name']} ({each['table']}), publication {each['sequence']}, run {each['run_id']}")
    table = Table("column", "type", "nulls", "min", "max", "mean")
    for column in manifest["columns"]:
        found = column["statistics"]
        cells = ("" if found.get(word) is None else str(found[word]) for word in ("nulls", "min", "max", "mean"))
        table.add_row(column["name"], column["type"], *cells)
    console().print(table)


@training_sets.command()
@click.argument("name")
@click.argument("first")
@click.argument("second")
@click.pass_obj
def compare(store: FeatureStore, name: str, first: str, second: str) -> None:
    """Compare two versions of NAME: definitions, inputs, rows, columns, checksums."""
    from amora_fs_assets.operations.training.versions import compare as compared

    click.echo(compared(name, first, second, store.registry))


@training_sets.command()
@click.argument("name")
@click.option("--keep", type=click.IntRange(1), required=True, help="Number of the newest versions that stay.")
@click.option("--yes", is_flag=True, help="Remove the versions; without it, only list them.")
@click.pass_obj
def prune(store: FeatureStore, name: str, keep: int, yes: bool) -> None:  # noqa: FBT001
    """Remove the rows of all except the newest versions of NAME. Their manifests stay in the registry.

    Held versions and versions built less than a day ago are not removed.
    """
    found = store.prune_training_set(name, keep=keep, dry_run=not yes)
    click.echo(str(found))
    if found.removed and not yes:
        click.echo("Nothing was removed. To remove these versions, add --yes.")


@training_sets.command()
@click.argument("name")
@click.argument("version")
@click.option("--because", required=True, help="The reason, such as the name of a model.")
@click.pass_obj
def hold(store: FeatureStore, name: str, version: str, because: str) -> None:
    """Protect VERSION of NAME from `prune`."""
    store.hold_training_set(name, version, because)
    click.echo(f"{name} {version} is held: {because}")


@training_sets.command()
@click.argument("name")
@click.argument("version")
@click.pass_obj
def release(store: FeatureStore, name: str, version: str) -> None:
    """Remove the protection of VERSION of NAME."""
    store.release_training_set(name, version)
    click.echo(f"{name} {version} is no longer held.")
