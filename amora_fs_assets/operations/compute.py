"""Sources -> offline store: a view's rows of an interval are staged, checked, and published whole or not at all."""

from __future__ import annotations

import hashlib
import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ibis.common.exceptions import IbisError
from ibis.expr.operations import InMemoryTable
from ibis.expr.types import Table

from amora_fs_assets.domain.catalogue import Catalogue, applied_of, code_version, computing_identity
from amora_fs_assets.domain.errors import ChecksFailed, DefinitionError, InvalidRequest, TransformError, message_of
from amora_fs_assets.domain.feature_view import INTERVAL_PARAMETER, FeatureView
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.meter import Meter
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import Draft, OfflineStore
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import ColumnLineage, Input, Output, Publication, RunRecord
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.checks import Checked, check
from amora_fs_assets.operations.emptiness import why_empty
from amora_fs_assets.operations.inputs import Fingerprint, as_text, take
from amora_fs_assets.operations.labels import check_label
from amora_fs_assets.operations.lateness import Overdue, overdue_of
from amora_fs_assets.operations.lineage import column_lineage
from amora_fs_assets.operations.rowwise import labelled
from amora_fs_assets.operations.tables import check_tables, known_rows, rows_of, table_name, unbound

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Computed:
    """A view's rows of an interval: staged and checked, not yet published."""

    view: FeatureView
    interval: Interval | None  # None: a table that somebody else fills, as a whole
    run_id: str
    definition_hash: str
    staged: str  # where the rows are; empty for somebody else's table
    checked: Checked
    sql_hash: str = ""
    inputs: tuple[Input, ...] = ()
    overdue: tuple[Overdue, ...] = ()  # rows later than their source says, which were read too
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)  # of what sources it read
    warning: str = ""  # why it has no rows, where it has none
    lineage: ColumnLineage
    seen: int = 0  # the newest publication of the store before anything was read
    applied: Applied | None = None  # what the registry said of the view; None: nothing is compared
    meter: Meter = field(default_factory=Meter, compare=False)  # of what it scans, publishing included

    @property
    def draft_interval(self) -> Interval | None:
        """What a publication replaces: the interval, or the whole table of a view without partitions."""
        return self.interval if self.view.partitions is not None else None


def interval_of(view: FeatureView, start: datetime, end: datetime, clock: datetime) -> Interval | None:
    """What [start, end) asks to compute of the view: not before its start, up to the clock, all where unpartitioned.

    Raises InvalidRequest where nothing of it is left.
    """
    if view.table is not None:
        return None
    whole = view.interval(clock)
    if view.partitions is None:
        return whole
    asked = Interval(max(start, whole.start), max(end, start, whole.start)).until(clock)
    if asked.empty:
        raise InvalidRequest(
            f"{view}: there is nothing to compute in [{start.isoformat()}, {end.isoformat()}). The view goes from "
            f"{whole.start.isoformat()} to the clock, {clock.isoformat()}."
        )
    return asked


def query_of(view: FeatureView, interval: Interval, dataset: str, since: Mapping[str, datetime] | None = None) -> Table:
    """The transform's rows, in the order and types of `view.row_columns`; rows outside the interval still among them.

    `since` says from when on sources are scanned at least, where their rows were later than max_lateness says.
    A row-wise transform over one source that returns no event_timestamp gets `known_at` of the source. Raises
    TransformError where the transform fails, or returns other columns or types; DefinitionError where it labels rows of
    a late source by another instant than `known_at`.
    """
    if view.transform is None:
        raise DefinitionError(f"{view} was read from the registry, which holds no code. Import its definition.")
    since = since or {}
    tables = {s.name: known_rows(s, dataset, interval, view.lookback, since.get(s.name)) for s in view.sources}
    arguments: dict[str, object] = {**tables}
    if INTERVAL_PARAMETER in inspect.signature(view.transform).parameters:
        arguments[INTERVAL_PARAMETER] = interval
    with handing(tables, {s.name: s for s in view.sources}) as handed:
        rows = _called(view, arguments)
        if len(tables) == 1:
            rows = labelled(rows, *tables.values())
    declared = _as_declared(view, rows)
    check_label(view, rows, handed)
    return declared


def _called(view: FeatureView, arguments: Mapping[str, object]) -> Table:
    assert view.transform is not None, "it was looked at"
    try:
        rows = view.transform(**arguments)
    except DefinitionError as error:
        raise DefinitionError(f"{view}: {error}") from error
    except Exception as error:
        raise TransformError(f"{view}: its transform failed: {type(error).__name__}: {error}") from error
    if not isinstance(rows, Table):
        raise TransformError(f"{view}: its transform returned {type(rows).__name__}; return an Ibis table expression.")
    if rows.op().find(InMemoryTable):
        raise TransformError(
            f"{view}: its transform brings rows in memory (ibis.memtable), which no engine has. "
            "Make them a Source with a loader, and read that."
        )
    return rows


def _as_declared(view: FeatureView, rows: Table) -> Table:
    declared = [column.name for column in view.row_columns]
    missing = [name for name in declared if name not in rows.columns]
    extra = [name for name in rows.columns if name not in declared]
    if missing or extra:
        said = [f"lacks {missing}"] * bool(missing) + [f"has {extra}, which the schema does not"] * bool(extra)
        fix = "Mend one of the two."
        if EVENT_TIMESTAMP in missing and view.sources:
            fix = f"Return from when on each row counts, such as `event_timestamp=known_at({view.sources[0].name})`."
        raise TransformError(f"{view}: what its transform returned {' and '.join(said)}. {fix}")
    values = []
    for column in view.row_columns:
        value, type_ = rows[column.name], IBIS_TYPES[column.type]
        if value.type().copy(nullable=True) != type_:
            if not _widens(value, column.type):
                raise TransformError(
                    f"{view}: column '{column.name}' is {value.type()}, the schema says {type_}. "
                    f"Cast it in the transform: `.cast('{type_}')`."
                )
            value = value.cast(type_)
        values.append(value.name(column.name))
    return rows.select(values)


def _widens(value: object, type_: str) -> bool:
    """Whether the cast loses nothing: smaller numbers, times (naive ones are UTC), an untyped null."""
    kind = value.type()  # type: ignore[attr-defined]
    if kind.is_null() or (kind.is_timestamp() and type_ == "timestamp" and kind.timezone in (None, "UTC")):
        return True
    if kind.is_decimal() and type_.startswith("decimal"):
        return (kind.scale or 0) <= 9 and (kind.precision or 99) - (kind.scale or 0) <= 29
    if kind.is_integer():
        return (type_ == "int64" and not kind.is_uint64()) or (type_ == "float64" and kind.nbytes < 8)
    return bool(kind.is_floating() and type_ == "float64")


def stage(
    view: FeatureView,
    interval: Interval | None,
    *,
    store: OfflineStore,
    run_id: str,
    definition_hash: str,
    applied: Catalogue | None = None,
    meter: Meter | None = None,
) -> Computed:
    """Compute, stage and check. Publishes nothing, whatever the checks say.

    `applied` is the registry's catalogue: publishing then compares what it says of the view. `meter` keeps what the
    computation costs, also where it fails.

    Raises TableNotFound, SourceMismatch, TransformError, OfflineStoreError.
    """
    meter = meter or Meter(view.name, run_id)
    with meter:
        return _stage(view, interval, store, run_id, definition_hash, applied, meter)


def _stage(
    view: FeatureView,
    interval: Interval | None,
    store: OfflineStore,
    run_id: str,
    definition_hash: str,
    applied: Catalogue | None,
    meter: Meter,
) -> Computed:
    if view.table is not None:
        check_tables([view], store)
        checked = check(rows_of(view, store.dataset), view, None, store)
        return Computed(view=view, interval=None, run_id=run_id, definition_hash=definition_hash, staged="",
                        checked=checked, inputs=inputs_of([view], store), lineage={}, meter=meter)  # fmt: skip
    assert interval is not None, "a computed view has an interval"
    published = store.publications(newest=True)
    seen = max((each.sequence for each in published), default=0)
    check_tables(view.sources, store, applied)
    inputs = inputs_of(view.sources, store, published)
    late = overdue_of(view, interval, store)
    for each in late:
        _log.warning("%s, %s: %s.", view, interval, each)
    fingerprints = take(view, interval, store, {each.source: each.rows for each in late})
    query = query_of(view, interval, store.dataset, {each.source: each.since for each in late})
    try:
        sql = store.sql(query)
    except IbisError as error:
        raise TransformError(f"{view}: its transform cannot be run by {store.engine}: {error}") from error
    lineage = column_lineage(query, view.sources, store)
    staged = store.stage(query, name=view.name, run_id=run_id)
    try:
        checked = check(unbound(view.row_columns, staged), view, interval, store)
        warning = why_empty(view, interval, checked, fingerprints, staged, store)
        if warning:
            _log.warning("%s, %s: %s", view, interval, warning)
    except BaseException:
        store.discard(staged)
        raise
    return Computed(
        view=view,
        interval=interval,
        run_id=run_id,
        definition_hash=definition_hash,
        staged=staged,
        checked=checked,
        sql_hash=hashlib.sha256(sql.encode()).hexdigest(),
        inputs=inputs,
        overdue=late,
        fingerprints=fingerprints,
        warning=warning,
        lineage=lineage,
        seen=seen,
        applied=applied_of(applied, view.name) if applied is not None else None,
        meter=meter,
    )


def inputs_of(
    sources: Sequence[Source | FeatureView], store: OfflineStore, published: Sequence[Publication] | None = None
) -> tuple[Input, ...]:
    """What will be read, each with the newest publication that is surely in it: of `published`, or those there are."""
    published = store.publications(newest=True) if published is None else published
    newest = {publication.table: publication.sequence for publication in published}
    tables = ((source.name, table_name(source, store.dataset)) for source in sources)
    return tuple(Input(name=name, table=table, sequence=newest.get(table)) for name, table in tables)


def publish(computed: Computed, *, store: OfflineStore, now: datetime) -> Publication | None:
    """Make the staged rows what readers see; None for somebody else's table, which has nothing to publish."""
    view = computed.view
    if view.table is not None:
        return None
    draft = Draft(
        name=view.name,
        table=table_name(view, store.dataset),
        columns=view.row_columns,
        keys=view.join_keys,
        time=EVENT_TIMESTAMP,
        interval=computed.draft_interval,
        table_partitions=view.table_partitions,
        description=view.description,
        owner=view.owner,
        tags=view.tags,
        run_id=computed.run_id,
        definition_hash=computed.definition_hash,
        schema_hash=view.schema_hash,
        sql_hash=computed.sql_hash,
        published_at=now,
        identity=computing_identity(view),
        inputs=as_text(computed.inputs, computed.fingerprints),
        computed_from=computed.interval.start if computed.interval else None,
        computed_until=computed.interval.end if computed.interval else None,
        applied=computed.applied,
        seen=computed.seen,
    )
    with computed.meter:
        return store.publish(computed.staged, draft)


def refusal(computed: Computed) -> ChecksFailed:
    """Why the gate held, for people."""
    failed = [result for result in computed.checked.results if not result.passed]
    reasons = "; ".join(
        f"{result.name}: {rule.failed_rows} row{'s' * (rule.failed_rows != 1)} "
        f"{'null' if rule.rule == 'not null' else f'not {rule.rule}'}"
        for result in failed
        for rule in result.rules
        if rule.failed_rows
    )
    example = next((row for result in failed for row in result.failing_rows), None)
    return ChecksFailed(
        f"{computed.view}: {computed.interval or 'the table'} was not published, since {reasons}. "
        f"For example {example}. What was published before stays. Mend the source, the transform or the schema."
    )


def record_of(
    view: FeatureView,
    *,
    run_id: str,
    started_at: datetime,
    finished_at: datetime,
    interval: Interval | None,
    meter: Meter,
    computed: Computed | None = None,
    publication: Publication | None = None,
    error: BaseException | None = None,
) -> RunRecord:
    """What the registry keeps of a computation, successful or not."""
    checked = computed.checked if computed else None
    return RunRecord(
        kind="compute" if view.table is None else "check",
        name=view.name,
        run_id=run_id,
        status="failed" if error else "succeeded",
        started_at=started_at,
        finished_at=finished_at,
        interval_start=interval.start if interval else None,
        interval_end=interval.end if interval else None,
        rows=publication.rows if publication else (checked.rows if checked else 0),
        clipped_rows=checked.clipped_rows if checked else 0,
        bytes=meter.bytes,
        sequence=publication.sequence if publication else None,
        code_version=code_version(view),
        definition_hash=computed.definition_hash if computed else "",
        schema_hash=view.schema_hash,
        sql_hash=computed.sql_hash if computed else "",
        inputs=computed.inputs if computed else (),
        outputs=_outputs(publication),
        checks=checked.results if checked else (),
        column_lineage=computed.lineage if computed else {},
        jobs=tuple(meter.jobs),
        details=_details(computed),
        error=message_of(error) if error else "",
    )


def _details(computed: Computed | None) -> dict[str, Any]:
    if computed is None or not computed.overdue:
        return {"warning": computed.warning} if computed and computed.warning else {}
    said = {each.source: {"rows": each.rows, "since": each.since.isoformat(),
                          "lateness_seconds": each.lateness.total_seconds()} for each in computed.overdue}  # fmt: skip
    return {"later_than_max_lateness": said} | ({"warning": computed.warning} if computed.warning else {})


def _outputs(publication: Publication | None) -> tuple[Output, ...]:
    if publication is None:
        return ()
    return (Output(name=publication.name, table=publication.table, sequence=publication.sequence),)
