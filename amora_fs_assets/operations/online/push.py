"""Push: write rows to the online store at once and, as a publication, to the offline store.

Imports neither Ibis nor Pandera, so that a model server can push: the catalogue holds the view's gate as SQL.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import InvalidRequest, OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Output, Publication
from amora_fs_assets.domain.time import EPOCH, Clock, Interval, wall_clock
from amora_fs_assets.operations.online.pushed_gate import check
from amora_fs_assets.operations.online.pushed_rows import NOTHING, Rows, table_of

if TYPE_CHECKING:
    import pyarrow as pa

_LAST = datetime.max.replace(tzinfo=UTC)


def push(
    view: FeatureView,
    rows: Rows,
    *,
    online: OnlineStore | None,
    offline: OfflineStore | None,
    run_id: str,
    clock: datetime,
    applied: Applied | None = None,
    definition_hash: str = "",
    expire: bool = True,
    run: MutableMapping[str, Any] | None = None,
    now: Clock = wall_clock,
    refuse_lost: Callable[[FeatureView], None] | None = None,
) -> int:
    """Append rows to the offline table, then write the newer ones online. Returns the number of newer rows.

    Without `offline` or `online` the rows are not written there.

    A row with event_timestamp after `clock` is only appended offline; the first load after its time brings it online.

    Before the view's first load the pushed rows begin a partial generation, which the first load replaces.
    `refuse_lost` raises if the view was loaded, and the online store has lost its rows.

    Raises InvalidRequest for rows with other columns or types than the view's, or for rows after the clock without an
    offline store, and ChecksFailed for rows that break a rule; nothing is written then. `run` receives the fields of
    the run record, also of a push that fails halfway.
    """
    table = table_of(view, rows)
    check(view, table)
    due = _due(view, table, clock, waits=offline is not None)
    run = {} if run is None else run
    run["rows"] = table.num_rows
    begins = online is not None and _never_loaded(view, online)
    if begins and refuse_lost is not None:
        refuse_lost(view)
    if online is not None and not begins:
        online.check_push(view)  # before the first write
    sequence, publication_id = None, ""
    if offline is not None and table.num_rows:
        publication = _append(view, table, offline, run_id, definition_hash, applied, now)
        sequence, publication_id = publication.sequence, publication.publication_id or ""
        output = Output(name=view.name, table=publication.table, sequence=sequence)
        run.update(sequence=sequence, outputs=(output,))
    if online is None:
        return 0
    if begins and due.num_rows:
        _begin(view, online, expire=expire)
    elif begins:
        return 0
    return sum(
        online.push(view, batch, sequence=sequence, publication_id=publication_id, expire=expire)
        for batch in due.to_batches()
    )


def _never_loaded(view: FeatureView, online: OnlineStore) -> bool:
    live = online.state(view.name).live
    return live is None or live.view_id != view.view_id


def _begin(view: FeatureView, online: OnlineStore, *, expire: bool) -> None:
    """Begin an empty partial generation for pushed rows, as of a clock before all rows."""
    try:
        online.load(view, (), published_through=0, clock=EPOCH, new_generation=True, window=True, expire=expire)
    except OnlineStoreError:
        online.check_push(view)  # no error if another push or load went live meanwhile


def _due(view: FeatureView, table: pa.Table, clock: datetime, *, waits: bool) -> pa.Table:
    """The rows with event_timestamp up to the clock. Raises InvalidRequest for later rows unless they can wait."""
    times = table.column(EVENT_TIMESTAMP).to_pylist()
    for row, time in enumerate(times):
        if time == _LAST:
            raise InvalidRequest(f"{view}: event_timestamp of row {row} is the last possible instant. {NOTHING}")
        if time > clock and not waits:
            raise InvalidRequest(
                f"{view}: event_timestamp of row {row} is {time.isoformat()}, after the clock, {clock.isoformat()}. "
                f"Such a row waits in the offline store, which a push only online excludes. {NOTHING}"
            )
    if view.has_created_timestamp:
        for row, created in enumerate(table.column(CREATED_TIMESTAMP).to_pylist()):
            if created is not None and created > max(clock, times[row]):
                raise InvalidRequest(
                    f"{view}: created_timestamp of row {row} is {created.isoformat()}, after the clock, "
                    f"{clock.isoformat()}. A pushed value must be known already. {NOTHING}"
                )
    return table.filter([time <= clock for time in times]) if any(time > clock for time in times) else table


def _append(
    view: FeatureView,
    table: pa.Table,
    store: OfflineStore,
    run_id: str,
    definition_hash: str,
    applied: Applied | None = None,
    now: Clock = wall_clock,
) -> Publication:
    times = table.column(EVENT_TIMESTAMP).to_pylist()
    staged = store.stage(table, name=view.name, run_id=run_id)
    draft = Draft.of_pushed(
        view,
        store.dataset,
        interval=Interval(min(times), max(times) + timedelta(microseconds=1)),
        run_id=run_id,
        definition_hash=definition_hash,
        published_at=now(),
        applied=applied,
    )
    try:
        return store.publish(staged, draft)
    except BaseException:
        store.discard(staged)
        raise
