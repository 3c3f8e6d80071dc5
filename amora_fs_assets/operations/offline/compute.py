"""Sources -> offline store: stage and check a view's rows of an interval, then publish all of them or none."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ibis.common.exceptions import IbisError
from ibis.expr.types import Table

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import ChecksFailed, InvalidRequest, TransformError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import applied_of, computing_identity
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.domain.ports.offline import Draft, OfflineStore
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import ColumnLineage, Input, Publication
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.column_lineage import column_lineage
from amora_fs_assets.operations.expressions.tables import check_tables, rows_of, unbound
from amora_fs_assets.operations.offline.emptiness import why_empty
from amora_fs_assets.operations.offline.gate import GateResult, check
from amora_fs_assets.operations.offline.inputs import Fingerprint, as_text, take
from amora_fs_assets.operations.offline.lateness import Overdue, overdue_of
from amora_fs_assets.operations.offline.transform import query_of

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StagedRows:
    """A view's rows of an interval: staged and checked, not yet published."""

    view: FeatureView
    interval: Interval | None  # None: the whole of an external table
    run_id: str
    definition_hash: str
    staged: str  # the table with the staged rows; empty for an external table
    checked: GateResult
    sql_hash: str = ""
    inputs: tuple[Input, ...] = ()
    overdue: tuple[Overdue, ...] = ()  # rows that became known later than max_lateness; they were read too
    fingerprints: Mapping[str, Fingerprint] = field(default_factory=dict)  # of the read rows, by source
    warning: str = ""  # the likely cause if there are no rows
    lineage: ColumnLineage
    seen: int = 0  # the newest publication of the store before the first read
    applied: Applied | None = None  # the expected row of `_applied`; None: no comparison

    @property
    def draft_interval(self) -> Interval | None:
        """The interval that a publication replaces; None for the whole table of a view without partitions."""
        return self.interval if self.view.partitions is not None else None


def interval_of(view: FeatureView, start: datetime, end: datetime, clock: datetime) -> Interval | None:
    """The interval to compute for a request of [start, end): the part between the view's start and the clock.

    For a view without partitions: the whole time from its start to the clock. None for an external table. Raises
    InvalidRequest for an empty interval.
    """
    if view.table is not None:
        return None
    whole = view.interval(clock)
    if view.partitions is None:
        return whole
    requested = Interval(max(start, whole.start), max(end, start, whole.start)).until(clock)
    if requested.empty:
        raise InvalidRequest(
            f"{view}: there is nothing to compute in [{start.isoformat()}, {end.isoformat()}). The view covers "
            f"{whole.start.isoformat()} to the clock, {clock.isoformat()}."
        )
    return requested


def stage(
    view: FeatureView,
    interval: Interval | None,
    *,
    store: OfflineStore,
    run_id: str,
    definition_hash: str,
    applied: Catalogue | None = None,
) -> StagedRows:
    """Compute, stage and check rows, without publishing them.

    `applied` is the registry's catalogue, for the publication to compare with `_applied`.

    Raises TableNotFound, SourceMismatch, TransformError, OfflineStoreError.
    """
    with Meter(view.name, run_id):
        return _stage(view, interval, store, run_id, definition_hash, applied)


def _stage(
    view: FeatureView,
    interval: Interval | None,
    store: OfflineStore,
    run_id: str,
    definition_hash: str,
    applied: Catalogue | None,
) -> StagedRows:
    if view.table is not None:
        check_tables([view], store)
        checked = check(rows_of(view, store.dataset), view, None, store)
        return StagedRows(view=view, interval=None, run_id=run_id, definition_hash=definition_hash, staged="",
                        checked=checked, inputs=inputs_of([view], store), lineage={})  # fmt: skip
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
    sql = sql_of(view, query, store)
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
    return StagedRows(
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
    )


def sql_of(view: FeatureView, query: Table, store: OfflineStore) -> str:
    """The SQL of the transform's rows. Raises TransformError for an operation that the store's engine lacks."""
    try:
        return store.sql(query)
    except IbisError as error:
        raise TransformError(f"{view}: {store.dialect.name} cannot run its transform: {error}") from error


def inputs_of(
    sources: Sequence[Source | FeatureView], store: OfflineStore, published: Sequence[Publication] | None = None
) -> tuple[Input, ...]:
    """The inputs of a computation, each with the newest of its publications in `published` (default: in the store)."""
    published = store.publications(newest=True) if published is None else published
    newest = {publication.table: publication.sequence for publication in published}
    tables = ((source.name, table_name(source, store.dataset)) for source in sources)
    return tuple(Input(name=name, table=table, sequence=newest.get(table)) for name, table in tables)


def publish(computed: StagedRows, *, store: OfflineStore, now: datetime) -> Publication | None:
    """Publish the staged rows. None for an external table, which has nothing to publish."""
    view = computed.view
    if view.table is not None:
        return None
    draft = Draft.of_view(
        view,
        store.dataset,
        interval=computed.draft_interval,
        run_id=computed.run_id,
        definition_hash=computed.definition_hash,
        sql_hash=computed.sql_hash,
        published_at=now,
        identity=computing_identity(view),
        inputs=as_text(computed.inputs, computed.fingerprints),
        computed_from=computed.interval.start if computed.interval else None,
        computed_until=computed.interval.end if computed.interval else None,
        applied=computed.applied,
        seen=computed.seen,
    )
    with Meter(view.name, computed.run_id):
        return store.publish(computed.staged, draft)


def refusal(computed: StagedRows) -> ChecksFailed:
    """The error for rows that failed checks: rules, counts and an example."""
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
        f"Example of a row: {example}. Earlier publications stay. Fix the source, the transform or the schema."
    )
