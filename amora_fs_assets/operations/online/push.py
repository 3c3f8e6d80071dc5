"""Push: rows that cannot wait for the next computation, straight to the online store and, as a publication, offline.

Knows neither Ibis nor Pandera, so that a model server can push: the catalogue holds the view's gate as SQL.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Output, Publication
from amora_fs_assets.domain.time import Clock, Interval, wall_clock
from amora_fs_assets.operations.online.pushed_gate import check
from amora_fs_assets.operations.online.pushed_rows import NOTHING, Rows, table_of

if TYPE_CHECKING:
    import pyarrow as pa

_LAST = datetime.max.replace(tzinfo=UTC)


def push(
    view: FeatureView,
    rows: Rows,
    *,
    online: OnlineStore,
    offline: OfflineStore | None,
    run_id: str,
    clock: datetime,
    applied: Applied | None = None,
    definition_hash: str = "",
    expire: bool = True,
    run: MutableMapping[str, Any] | None = None,
    now: Clock = wall_clock,
) -> int:
    """Write the rows online where they are newer, and append them to the offline table; how many were newer.

    A row whose event_timestamp is after `clock` is only appended: the first load after its time brings it online.

    Raises InvalidRequest for rows that are not of the view's columns and types, or that would have to wait while there
    is no offline store to wait in, and ChecksFailed for rows that break a rule; nothing is written then. Offline comes
    first: what is served is then in the offline store too. `run` gets what the registry keeps of it, as far as it came.
    """
    table = table_of(view, rows)
    check(view, table)
    due = _due(view, table, clock, waits=offline is not None)
    run = {} if run is None else run
    run["rows"] = table.num_rows
    if offline is not None and table.num_rows and view.table is not None:
        raise InvalidRequest(f"{view}: somebody else fills its table. Push with to_offline=False. {NOTHING}")
    online.check_push(view)  # before anything is written
    sequence, publication_id = None, ""
    if offline is not None and table.num_rows:
        publication = _append(view, table, offline, run_id, definition_hash, applied, now)
        sequence, publication_id = publication.sequence, publication.publication_id or ""
        output = Output(name=view.name, table=publication.table, sequence=sequence)
        run.update(sequence=sequence, outputs=(output,))
    return sum(
        online.push(view, batch, sequence=sequence, publication_id=publication_id, expire=expire)
        for batch in due.to_batches()
    )


def _due(view: FeatureView, table: pa.Table, clock: datetime, *, waits: bool) -> pa.Table:
    """The rows whose time has come. Raises InvalidRequest for others that cannot wait."""
    times = table.column(EVENT_TIMESTAMP).to_pylist()
    for row, time in enumerate(times):
        if time == _LAST:
            raise InvalidRequest(f"{view}: event_timestamp of row {row} is the last instant there is. {NOTHING}")
        if time > clock and not waits:
            raise InvalidRequest(
                f"{view}: row {row} is of {time.isoformat()}, after the clock, {clock.isoformat()}: its time has not "
                f"come, and with to_offline=False there is nowhere for it to wait. {NOTHING}"
            )
    if view.has_created_timestamp:
        for row, created in enumerate(table.column(CREATED_TIMESTAMP).to_pylist()):
            if created is not None and created > max(clock, times[row]):
                raise InvalidRequest(
                    f"{view}: created_timestamp of row {row} is {created.isoformat()}, after the clock, "
                    f"{clock.isoformat()}: a value that is pushed is known. {NOTHING}"
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
    draft = Draft.of_view(
        view,
        store.dataset,
        interval=Interval(min(times), max(times) + timedelta(microseconds=1)),
        appended=True,
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
