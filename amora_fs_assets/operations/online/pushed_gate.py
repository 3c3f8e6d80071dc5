"""The gate of a push: the very expressions that the gate of a computation runs, over the pushed rows.

The catalogue holds them as one query of DuckDB's, so that neither Ibis nor the schema's code is needed.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import ChecksFailed, DefinitionNotApplied
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.gate import TABLE, Gate
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.operations.online.pushed_rows import NOTHING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_of_this_thread = threading.local()


def check(view: FeatureView, table: pa.Table) -> None:
    """Raise ChecksFailed, which names row, column and rule, where a row breaks a rule of the view's.

    Raises DefinitionNotApplied for a view whose rules an earlier release wrote to the registry.
    """
    for (name, rule), kept in zip(_gate_of(view).rules, judged(view, table).columns, strict=True):
        row = kept.index(False).as_py()
        if row >= 0:
            raise ChecksFailed(f"{view}: {_broken(name, rule, row, table)}. {NOTHING}")
    seen: dict[tuple[Any, ...], int] = {}
    for row, key in enumerate(_keys(view, table)):
        if (first := seen.setdefault(key, row)) != row:
            said = dict(zip(view.row_key, key, strict=True))
            raise ChecksFailed(f"{view}: rows {first} and {row} have the same key and time: {said}. {NOTHING}")


def _keys(view: FeatureView, table: pa.Table) -> list[tuple[Any, ...]]:
    """By what each row is unique. A null created_timestamp is event_timestamp."""
    columns = {name: table.column(name).to_pylist() for name in view.row_key}
    if view.has_created_timestamp:
        times = zip(columns[CREATED_TIMESTAMP], columns[EVENT_TIMESTAMP], strict=True)
        columns[CREATED_TIMESTAMP] = [event if created is None else created for created, event in times]
    return list(zip(*columns.values(), strict=True))


def judged(view: FeatureView, table: pa.Table) -> pa.Table:
    """For each row, in order, a truth value for each rule of the view's gate: whether the row keeps the rule.

    Raises ChecksFailed where the engine cannot run a rule on some row.
    """
    import duckdb

    gate, engine = _gate_of(view), _engine()
    engine.register(TABLE, table)
    try:
        return engine.execute(gate.sql).to_arrow_table()
    except duckdb.Error as error:
        raise ChecksFailed(f"{view}: its rules cannot be run on these rows: {error}. {NOTHING}") from error
    finally:
        engine.unregister(TABLE)


def _gate_of(view: FeatureView) -> Gate:
    if view.gate is None:
        raise DefinitionNotApplied(
            f"{view}: an earlier release wrote it to the registry, without the rules that a push runs. "
            f"Run `amora-fs apply` with this release. {NOTHING}"
        )
    return view.gate


def _broken(check: str, rule: str, row: int, table: pa.Table) -> str:
    values: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    if check not in values:
        return f"row {row} breaks rule {rule} of whole rows: {values}"
    if rule == "not null":
        return f"column '{check}' is never null; row {row} is"
    return f"column '{check}': {values[check]!r} of row {row} is not {rule}"


def _engine() -> duckdb.DuckDBPyConnection:
    """An engine in memory, of this thread, which reads no files: it only ever judges rows that are handed to it."""
    import duckdb

    if getattr(_of_this_thread, "process", None) != os.getpid():
        engine = duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": "false"})
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute("PRAGMA disable_optimizer")  # a third of the time, which only larger queries give back
        _of_this_thread.engine, _of_this_thread.process = engine, os.getpid()
    found: duckdb.DuckDBPyConnection = _of_this_thread.engine
    return found
