"""The meaning of a transform: runs the transform on tables without rows, and reads the returned expression."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.operations as ops
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.identity.code import Code
from amora_fs_assets.domain.identity.expression import Forms, Places
from amora_fs_assets.domain.identity.fingerprint import content_hash
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.identity.moments import Watch
from amora_fs_assets.domain.known import handing
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.windows.durations import Windows
from amora_fs_assets.domain.windows.rolling import check_view

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView

DATASET = "feature_store"
"""A placeholder for the settings' dataset: an expression's meaning does not depend on the dataset."""

_Run = tuple[str, Mapping[str, str], Forms]


def meaning_of(
    owner: str,
    transform: Callable[..., Any],
    sources: Sequence[Source | FeatureView],
    interval: str | None = None,
    *,
    applied: Meaning | None = None,
    once: bool = False,
) -> Meaning:
    """The meaning of a transform over its sources. `interval` is the name of the parameter that takes the interval.

    The transform runs twice. It runs once if the first run gives the meaning `applied`, or with `once`, for callers
    that do not need the comparison. The meaning of a transform that branches on the interval includes its code. The
    same holds for a transform that fails, returns no table, or returns rows in memory; a computation reports these
    errors. Raises DefinitionError if two runs differ.
    """
    rows, columns, _ = _run(transform, sources, interval)
    meaning = Meaning(rows, columns)
    if once or meaning == applied:
        return meaning
    if (rows, columns) != _run(transform, sources, interval)[:2]:
        raise DefinitionError(
            f"{owner}: its transform returned two different expressions in two runs, so its meaning is not defined. "
            "Remove what differs from run to run (the time of day, random numbers, the order of a set). The parameter "
            "`interval` gives the interval to compute."
        )
    return meaning


def check_transform(view: FeatureView, windows: Windows | None) -> None:
    """Run the transform of a view with windows, or over views, so that a wrong argument is an error at import.

    Raises DefinitionError. Other errors of the transform are left to the computation, which reports them.
    """
    if windows is not None:
        check_view(str(view), windows, lookback=view.lookback, ttl=view.ttl)
    assert view.transform is not None, "the caller has checked it"
    tables = {source.name: _table(source) for source in view.sources}
    given: dict[str, Any] = dict(tables)
    if "interval" in inspect.signature(view.transform).parameters:
        given["interval"] = Watch().interval()
    try:
        with handing(tables, {source.name: source for source in view.sources}, view):
            rows = view.transform(**given)
            found = set(rows.columns)
    except DefinitionError as error:
        raise DefinitionError(f"{view}: {error}") from error
    except Exception:  # noqa: BLE001  (the computation raises the same error and reports it)
        return
    if windows is None:
        return
    declared = {column.name for column in view.row_columns}
    lacking, more = sorted(declared - found - {EVENT_TIMESTAMP}), sorted(found - declared)
    if lacking or more:
        raise DefinitionError(
            f"{view}: its transform's rows "
            + " and ".join([f"lack {lacking}"] * bool(lacking) + [f"have {more}, which the schema lacks"] * bool(more))
            + ". Use the same names, and the same windows, in the transform and in the schema."
        )


def _run(transform: Callable[..., Any], sources: Sequence[Source | FeatureView], interval: str | None) -> _Run:
    """Run the transform once: the form of the rows, of each column by name, and all forms."""
    watch, code = Watch(), Code()
    tables = {source.name: _table(source) for source in sources}
    given: dict[str, Any] = dict(tables)
    if interval in inspect.signature(transform).parameters:
        given[str(interval)] = watch.interval()
    places: Places = {(t.op().namespace.database, t.op().name): name for name, t in tables.items()}
    forms = Forms(places, code.of)
    try:
        with handing(tables, {source.name: source for source in sources}):
            table = transform(**given)
    except Exception:  # noqa: BLE001  (the computation raises the same error and reports it)
        table = None
    if not isinstance(table, Table) or table.op().find(ops.InMemoryTable):
        return content_hash(["code", code.of(transform)]), {}, forms
    root = table.op()
    forms.read(root)
    rows = forms.top_rows(root)
    columns = {name: forms.value(ops.Field(root, name)) for name in table.columns}
    if watch.asked:
        branch = code.of(transform)
        rows = forms.put("branching", branch, rows)
    return rows, columns, forms


def _table(source: Source | FeatureView) -> Table:
    columns = source.columns if isinstance(source, Source) else source.row_columns
    dataset, _, name = (source.table or f"{DATASET}.{source.name}").rpartition(".")
    return ibis.table({c.name: IBIS_TYPES[c.type] for c in columns}, name=name, database=dataset)
