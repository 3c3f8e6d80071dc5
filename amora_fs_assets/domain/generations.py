"""Rules for the generations of a view in any online store: which rows they take, which goes live, what readers get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import NEVER, Filling, Generation, Load, OnlineRows, ViewState


def shape(columns: Sequence[Column]) -> tuple[tuple[str, str], ...]:
    """The columns' names and types, in the form of a Generation."""
    return tuple((column.name, column.type.value) for column in columns)


def filled(view: FeatureView, load: Load, newest_event: datetime | None, *, now: datetime) -> Generation:
    """The generation that a load has filled with rows of the view."""
    return Generation(
        number=load.number,
        schema_hash=view.schema_hash,
        keys=shape(view.key_columns),
        features=shape(view.online_columns),
        published_through=load.published_through,
        published_id=load.origin.published_id,
        view_id=view.view_id,
        incarnation=load.origin.incarnation,
        kept=load.kept,
        clock=load.clock,
        partial=load.window,
        loaded_at=now,
        location=load.location,
        newest_event=newest_event,
    )


def going_live(state: ViewState, *, generation: Generation, before: Generation | None, now: datetime) -> ViewState:
    """The state with the generation complete, and live unless readers are pinned.

    Without the generation if a concurrent load with a newer cursor has gone live since `before`. Raises
    OnlineStoreError if the load counted as dead, or if the generation is partial and another one went live since. A
    generation begun by a push replaces none of the view.
    """
    left = tuple(each for each in state.filling if each.location != generation.location)
    if left == state.filling:
        raise OnlineStoreError("This load counted as dead, and its rows were removed. Run the load again.")
    newest = state.newest
    of_view = newest is not None and newest.view_id == generation.view_id
    if (generation.partial and newest is not None and newest != before) or (generation.begun_by_push and of_view):
        raise OnlineStoreError("Another load of the view went live during this load. Run this load again.")
    if (
        newest is not None
        and newest != before  # from a concurrent load
        and newest.schema_hash == generation.schema_hash
        and (newest.view_id, newest.incarnation) == (generation.view_id, generation.incarnation)
        and (generation.published_through, generation.clock) < (newest.published_through, newest.clock)
    ):
        return replace(state, filling=left)
    live = state.live_number if state.pinned else generation.number
    retired = tuple(
        replace(each, retired_at=each.retired_at or now) if each.number != live else each for each in state.generations
    )
    return replace(state, live_number=live, filling=left, generations=(*retired, generation))


def advanced(state: ViewState, load: Load, newest_event: datetime | None, *, now: datetime) -> ViewState:
    """The state after a load into the newest generation. Unchanged if another one is newest, or has a newer cursor."""
    newest = state.newest
    if newest is None or newest.number != load.number:
        return state
    if not load.window and (load.published_through, load.clock) < (newest.published_through, newest.clock):
        return state
    published_through, clock = (
        (newest.published_through, newest.clock) if load.window else (load.published_through, load.clock)
    )
    reach = max(load.clock, newest.reached)
    # A window load includes only some rows of its publications.
    published_id = newest.published_id if load.window else load.origin.published_id
    moved = replace(
        newest,
        published_through=published_through,
        published_id=published_id,
        kept=min((each for each in (newest.kept, load.kept) if each is not None), default=None),
        clock=clock,
        reach=reach if reach > clock else None,
        loaded_at=now,
        newest_event=max(filter(None, (newest.newest_event, newest_event)), default=None),
    )
    return replace(state, generations=(*state.generations[:-1], moved))


def takes(generation: Generation | Filling, view: FeatureView) -> bool:
    """Whether rows of the view can be written into the generation: it belongs to the view and has its columns."""
    return (generation.view_id, generation.schema_hash) == (view.view_id, view.schema_hash)


def check_push(view: FeatureView, state: ViewState) -> None:
    """Raise OnlineStoreError if rows of the view cannot be pushed."""
    if state.live is None or state.live.view_id != view.view_id:
        raise OnlineStoreError(f"{view} was never loaded. Run `amora-fs materialize-incremental` first.")
    if not any(takes(each, view) for each in state.generations):
        raise OnlineStoreError(
            f"{view}: its online rows have other columns than the registry. Run `amora-fs materialize-incremental`."
        )


def serves(generation: Generation | None, view: FeatureView) -> bool:
    """Whether the generation belongs to the view and has its join keys."""
    if generation is None or generation.view_id != view.view_id:
        return False
    return generation.schema_hash == view.schema_hash or generation.keys == shape(view.key_columns)


def no_rows(view: FeatureView, count: int, generation: Generation | None) -> OnlineRows:
    """Missing rows for `count` keys, for a generation that does not serve the view.

    Raises OnlineStoreError if the generation belongs to the view but has other join keys.
    """
    if generation is not None and generation.view_id == view.view_id:
        raise OnlineStoreError(
            f"{view}: its online rows have the join keys {dict(generation.keys)}, but the registry has "
            f"{dict(shape(view.key_columns))}. Run `amora-fs materialize-incremental`."
        )
    columns = {feature.name: [None] * count for feature in view.online_columns}
    return OnlineRows([NEVER] * count, [None] * count, columns, [0] * count, complete=not count, loaded=False)


def in_types_of(view: FeatureView, rows: OnlineRows, generation: Generation) -> OnlineRows:
    """The generation's rows without columns that the view lacks or has in another type.

    Features that the generation lacks are null.
    """
    if generation.schema_hash == view.schema_hash:
        return rows
    both = set(generation.features).intersection(shape(view.online_columns))
    columns = {name: rows.columns[name] for name, _ in both}
    added = {feature.name for feature in view.online_columns}.difference(dict(generation.features))
    columns |= {name: [None] * len(rows.event_timestamps) for name in added}
    return replace(rows, columns=columns, added=frozenset(added))
