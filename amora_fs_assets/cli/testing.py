"""amora-fs test: the contract of feature views, without pytest."""

from __future__ import annotations

import importlib.util

import click

from amora_fs_assets.cli.shared import examples as examples_of
from amora_fs_assets.cli.shared import explained
from amora_fs_assets.feature_store import FeatureStore


@click.command(
    epilog=examples_of("test", "test customer_spend", "test --examples 50", "--definitions shop_features test")
)
@click.argument("views", nargs=-1)
@click.option(
    "--examples",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Number of generated sets of source rows per view.",
)
@click.pass_obj
@explained
def test(store: FeatureStore, views: tuple[str, ...], examples: int) -> None:
    """Test VIEWS (by default all) on generated rows of their sources; exit code 1 if a check fails.

    The checks are those of `pytest --amora-features`: no row depends on what was not yet known, the parts of an
    interval add up, a second computation gives the same rows, and the transform has SQL for both engines. Reads no
    stored rows, and changes nothing.
    """
    if importlib.util.find_spec("hypothesis") is None:
        raise click.ClickException(
            "The tests generate rows with Hypothesis. Run `pip install 'amora-fs-assets[testing]'`."
        )
    from amora_fs_assets.testing.checks import checks_of

    chosen = [store.code.feature_view(name) for name in views] or store.code.in_order
    computed = [view for view in chosen if view.table is None]
    checked = failed = 0
    for view in computed:
        click.echo(view.name)
        for check in checks_of(view, examples=examples):
            checked += 1
            try:
                nothing = check.run()
            except AssertionError as error:
                failed += 1
                click.echo(f"  FAILED  {check.name}\n" + _indented(str(error)))
            else:
                click.echo(f"  ok      {check.name}" if not nothing else f"  skipped {check.name}: {nothing}")
    number = f"{checked} checks of {len(computed)} view{'s' * (len(computed) != 1)}"
    if failed:
        raise click.ClickException(f"{failed} of {number} failed. See docs/writing-features.md.")
    click.echo(f"{number}: none failed.")


def _indented(text: str) -> str:
    return "\n".join(f"          {line}" for line in text.splitlines())


COMMANDS = (test,)
