"""amora-fs rollback, parity, serve: the online store and the HTTP server."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import click

from amora_fs_assets.cli.shared import examples, explained
from amora_fs_assets.domain.ports.online import ViewState
from amora_fs_assets.feature_store import FeatureStore


@click.command(epilog=examples("rollback carrier_punctuality", "rollback carrier_punctuality --unpin"))
@click.argument("view")
@click.option("--to", type=click.IntRange(1), help="Number of the generation; by default the one before the live one.")
@click.option("--unpin", is_flag=True, help="Let readers see the newest generation again.")
@click.option("--dry-run", is_flag=True, help="Show the change, and change nothing.")
@click.pass_obj
@explained
def rollback(store: FeatureStore, view: str, to: int | None, unpin: bool, dry_run: bool) -> None:  # noqa: FBT001
    """Let readers see an older generation of VIEW until `--unpin`. Loads continue in the newest generation."""
    store.get_feature_view(view)
    before = store.online.state(view)
    if dry_run:
        target = before.after_unpin(view) if unpin else before.after_rollback(view, to)
        click.echo(f"{view}: readers would go from generation {before.live_number} to {target.number}, {_of(target)}.")
        return
    now = store.unpin(view) if unpin else store.rollback(view, to)
    pinned = "no longer pinned" if unpin else "pinned there until `amora-fs rollback --unpin`"
    click.echo(f"{view}: readers go from generation {before.live_number} to {now.number}, {_of(now)}; {pinned}.")


@click.command(epilog=examples("parity carrier_punctuality", "parity carrier_punctuality --all"))
@click.argument("view")
@click.option("--sample", type=click.IntRange(1), default=1_000, show_default=True, help="Number of compared keys.")
@click.option("--all", "every", is_flag=True, help="Compare all keys, with the view's newest rows in memory.")
@click.pass_obj
@explained
def parity(store: FeatureStore, view: str, sample: int, every: bool) -> None:  # noqa: FBT001
    """Compare the online rows of VIEW with the newest rows of the offline store; exit code 1 if they differ."""
    found = store.parity(view, sample=None if every else sample)
    click.echo(
        f"{view}: {found.sampled:,} keys compared as of publication {found.published_through}: {found.equal:,} equal, "
        f"{found.missing} missing, {found.extra} extra, {found.stale} stale, {found.different} different; "
        f"{found.ahead} ahead by push, {found.behind} published since, {found.outside} outside the loaded windows, "
        f"{found.aged_out} aged out."
    )
    for example in found.examples:
        click.echo(f"  {example}")
    if not found.passed:
        raise click.ClickException(
            f"Online rows differ from the offline store. Run `amora-fs materialize-incremental --full --feature-views "
            f"{view}`."
        )


def online_status(store: FeatureStore, view: str) -> str:
    """The online state of a view, as text."""
    store.get_feature_view(view)
    state = store.online.state(view)
    lines = [f"{view}: {_summary(state)}"]
    for each in state.generations:
        newest = "" if each.newest_event is None else f", newest row of {each.newest_event:%Y-%m-%d %H:%M:%S}"
        lines.append(
            f"  generation {each.number}{' (live)' if each.number == state.live_number else ''}: loaded "
            f"{each.loaded_at:%Y-%m-%d %H:%M:%S}, {_of(each)}{newest}, keys {each.location}*"
        )
    lines += [f"  generation {each.number} is being filled, keys {each.location}*" for each in state.filling]
    if state.live is not None:
        waiting = len(store.offline.publications(view, after=state.live.published_through))
        lag = (datetime.now(UTC) - state.live.loaded_at).total_seconds()
        lines.append(f"  lag: {waiting} publications not loaded; last load {lag:,.0f} s ago")
    failed = next(store.registry.records(view, kind="materialize", status="failed", limit=1), None)
    if failed is not None:
        lines.append(f"  last failure: {failed.finished_at:%Y-%m-%d %H:%M:%S}: {failed.error}")
    return "\n".join(lines)


def _summary(state: ViewState) -> str:
    if state.live is None:
        return "never loaded"
    return f"generation {state.live_number}{', pinned by a rollback' if state.pinned else ''}"


def _of(generation: Any) -> str:
    if generation.begun_by_push:
        return "partial: only pushed rows and some windows, until the next incremental load"
    partial = ", partial: only some windows, until the next incremental load" if generation.partial else ""
    return f"publications up to {generation.published_through}, as of {generation.clock:%Y-%m-%d %H:%M:%S}{partial}"


@click.command(epilog=examples("serve", "serve --workers 4 --access-log"))
@click.option("--host", help="Address to listen on; by default AMORA_FS_HTTP_HOST.")
@click.option("--port", type=click.IntRange(1, 65_535), help="Port to listen on; by default AMORA_FS_HTTP_PORT.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that share the port.")
@click.option("--access-log", is_flag=True, help="Log every request.")
@click.option(
    "--max-entities",
    type=click.IntRange(1),
    default=10_000,
    show_default=True,
    help="Greatest number of entities in a request.",
)
@click.option(
    "--max-body",
    type=click.IntRange(1),
    default=8 * 2**20,
    show_default=True,
    help="Greatest size of a request body [bytes].",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="Longest time for receiving a body, and for Redis to answer [s].",
)
@click.pass_obj
@explained
def serve(
    store: FeatureStore,
    host: str | None,
    port: int | None,
    workers: int,
    access_log: bool,  # noqa: FBT001
    max_entities: int,
    max_body: int,
    max_seconds: float,
) -> None:
    """Serve features over HTTP until stopped."""
    from amora_fs_assets.serving.app import Limits
    from amora_fs_assets.serving.run import run

    settings = replace(
        store.settings, http_host=host or store.settings.http_host, http_port=port or store.settings.http_port
    )
    click.echo(f"http://{settings.http_host}:{settings.http_port}/docs")
    limits = Limits(entities=max_entities, body=max_body, seconds=max_seconds)
    run(settings, workers=workers, access_log=access_log, limits=limits)


COMMANDS = (rollback, parity, serve)
