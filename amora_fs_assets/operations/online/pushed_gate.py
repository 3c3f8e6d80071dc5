"""The gate of a push: runs the same rules as the gate of a computation on the pushed rows.

The catalogue holds the rules as one DuckDB query, so that neither Ibis nor the schema's code is needed.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import ChecksFailed, DefinitionNotApplied
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.rules.gate import TABLE, Gate
from amora_fs_assets.operations.online.pushed_rows import NOTHING

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

_of_this_thread = threading.local()


def check(view: FeatureView, table: pa.Table) -> None:
    """Raise ChecksFailed, which names row, column and rule, if a row breaks one of the view's rules.

    Raises DefinitionNotApplied for a view that an earlier release applied, without the rules in their present form.
    """
    for (name, rule), kept in zip(_gate_of(view).rules, rule_results(view, table).columns, strict=True):
        row = kept.index(False).as_py()
        if row >= 0:
            raise ChecksFailed(f"{view}: {_broken(name, rule, row, table)}. {NOTHING}")
    seen: dict[tuple[Any, ...], int] = {}
    for row, key in enumerate(_keys(view, table)):
        if (first := seen.setdefault(key, row)) != row:
            shown = dict(zip(view.row_key, key, strict=True))
            raise ChecksFailed(f"{view}: rows {first} and {row} have the same key and time: {shown}. {NOTHING}")


def _keys(view: FeatureView, table: pa.Table) -> list[tuple[Any, ...]]:
    """The unique key of each row. A null created_timestamp counts as event_timestamp."""
    columns = {name: table.column(name).to_pylist() for name in view.row_key}
    if view.has_created_timestamp:
        times = zip(columns[CREATED_TIMESTAMP], columns[EVENT_TIMESTAMP], strict=True)
        columns[CREATED_TIMESTAMP] = [event if created is None else created for created, event in times]
    return list(zip(*columns.values(), strict=True))


def rule_results(view: FeatureView, table: pa.Table) -> pa.Table:
    """A boolean for each row, in order, and each rule of the view's gate: whether the row passes the rule.

    Raises ChecksFailed if the engine cannot run a rule on a row.
    """
    import duckdb

    gate, engine = _gate_of(view), _engine()
    engine.register(TABLE, table)
    try:
        return engine.execute(gate.sql).to_arrow_table()
    except duckdb.Error as error:
        raise ChecksFailed(f"{view}: the engine cannot run its rules on these rows: {error}. {NOTHING}") from error
    finally:
        engine.unregister(TABLE)


def _gate_of(view: FeatureView) -> Gate:
    if view.gate is None:
        raise DefinitionNotApplied(
            f"{view}: an earlier release applied it, without the rules that a push runs. "
            f"Run `amora-fs apply` with this release. {NOTHING}"
        )
    return view.gate


def _broken(check: str, rule: str, row: int, table: pa.Table) -> str:
    values: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    if check not in values:
        return f"row {row} breaks the whole-row rule {rule}: {values}"
    if rule == "not null":
        return f"column '{check}' is never null, but it is null in row {row}"
    return f"column '{check}': {values[check]!r} of row {row} is not {rule}"


def _engine() -> duckdb.DuckDBPyConnection:
    """This thread's in-memory engine. It cannot read files and sees only registered rows."""
    import duckdb

    if getattr(_of_this_thread, "process", None) != os.getpid():
        engine = duckdb.connect(":memory:", config={"threads": 1, "enable_external_access": "false"})
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute("PRAGMA disable_optimizer")  # saves a third of the time of these small queries
        _of_this_thread.engine, _of_this_thread.process = engine, os.getpid()
    found: duckdb.DuckDBPyConnection = _of_this_thread.engine
    return found
