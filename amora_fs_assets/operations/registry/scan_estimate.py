"""Estimates of the scans of computations: BigQuery's dry runs give bytes; for DuckDB the sources' rows are counted."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import ibis
from ibis.expr.types import Table

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.known import max_lateness_of
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.operations.expressions.tables import scanned_rows
from amora_fs_assets.operations.offline.transform import query_of
from amora_fs_assets.operations.registry.impact import Recompute, Scan

_AT_ONCE = 16  # concurrent dry runs; each takes only a round trip to Google


def scans(recompute: Sequence[Recompute], code: Catalogue, store: OfflineStore) -> dict[Recompute, Scan]:
    """The estimated scan of each interval, or the reason why it is unknown.

    Errors of the store become reasons rather than exceptions, since a plan is useful without estimates.
    """
    with_code = [each for each in recompute if each.view in code.feature_views]
    if store.dialect.estimates_scans:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda each: _dry_run(each, code.feature_views[each.view], store), with_code)
            known = dict(zip(with_code, found, strict=True))
        return known | _without_code(recompute, with_code, "bytes")
    try:
        return _counted(with_code, code, store) | _without_code(recompute, with_code, "rows")
    except FeatureStoreError as error:
        return {each: Scan(None, "rows", str(error)) for each in recompute}


def _without_code(recompute: Sequence[Recompute], with_code: Sequence[Recompute], unit: str) -> dict[Recompute, Scan]:
    without_code = [each for each in recompute if each not in with_code]
    return {
        each: Scan(None, "bytes" if unit == "bytes" else "rows", "the code no longer has this view")
        for each in without_code
    }


def _note_on_whole_tables(view: FeatureView) -> str:
    """A note on the tables that are scanned from their first row, since their lateness has no bound."""
    whole = [source for source in view.sources if max_lateness_of(source) is None]
    notes = [
        f"all of '{each.name}' up to the interval's end, since "
        + ("its created_timestamp has no bound" if isinstance(each, FeatureView) else "it has no max_lateness")
        for each in whole
    ]
    return "; ".join(notes)


def _dry_run(each: Recompute, view: FeatureView, store: OfflineStore) -> Scan:
    try:
        query = query_of(view, each.interval, store.dataset)
        return Scan(store.scanned_bytes(query), "bytes", note=_note_on_whole_tables(view))
    except FeatureStoreError as error:
        return Scan(None, "bytes", str(error))


def _counted(with_code: Sequence[Recompute], code: Catalogue, store: OfflineStore) -> dict[Recompute, Scan]:
    """Count the rows of all intervals in one query, once per source and interval, for all views that read them."""
    tables: dict[str, bool] = {}
    counts: dict[tuple[object, ...], Table] = {}
    read: dict[Recompute, list[tuple[object, ...]]] = {}
    missing: dict[Recompute, str] = {}
    for each in with_code:
        view = code.feature_views[each.view]
        for source in view.sources:
            table = table_name(source, store.dataset)
            if table not in tables:
                (stored,) = store.stored_tables([source.place or table])
                tables[table] = stored is not None
            if not tables[table]:
                missing[each] = f"{table} does not exist yet"
                continue
            key = (table, each.interval, view.lookback)
            read.setdefault(each, []).append(key)
            if key not in counts:
                rows = scanned_rows(source, store.dataset, each.interval, view.lookback)
                counts[key] = rows.aggregate(rows=rows.count()).mutate(number=ibis.literal(len(counts), "int64"))
    by_number: dict[int, int] = {}
    if counts:
        with store.read(ibis.union(*counts.values())) as batches:
            by_number = {row["number"]: row["rows"] for row in batches.read_all().to_pylist()}
    rows_of = {key: by_number[number] for number, key in enumerate(counts)}
    return {
        each: Scan(None, "rows", missing[each])
        if each in missing
        else Scan(
            sum(rows_of[key] for key in read.get(each, ())),
            "rows",
            note=_note_on_whole_tables(code.feature_views[each.view]),
        )
        for each in with_code
    }
