"""Push: rows that cannot wait for the next computation, straight to the online store and, as a publication, offline.

Knows neither Ibis nor Pandera, so that a model server can push: a column's rules are plain data (domain.column.Rule).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.arrow import arrow_schema
from amora_fs_assets.domain.column import Rule
from amora_fs_assets.domain.errors import ChecksFailed, InvalidRequest
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports import Draft, OfflineStore, OnlineStore
from amora_fs_assets.domain.records import Output
from amora_fs_assets.domain.time import Interval, utc
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import pyarrow as pa

Rows = Any
"""A DataFrame, an Arrow table, a list of dicts, or a dict of columns: join keys, event_timestamp, features."""


def push(
    view: FeatureView,
    rows: Rows,
    *,
    online: OnlineStore,
    offline: OfflineStore | None,
    run_id: str,
    definition_hash: str = "",
    expire: bool = True,
    run: MutableMapping[str, Any] | None = None,
) -> int:
    """Write the rows online where they are newer, and append them to the offline table; how many were newer.

    Raises InvalidRequest for rows that are not of the view's columns and types, ChecksFailed for values that break a
    rule; nothing is written then. Offline comes first: what is served is then in the offline store too. `run` gets what
    the registry keeps of it, as far as it came.
    """
    table = table_of(view, rows)
    _check(view, table)
    run = {} if run is None else run
    run["rows"] = table.num_rows
    sequence = None
    if offline is not None and table.num_rows:
        if view.table is not None:
            raise InvalidRequest(f"{view}: somebody else fills its table. Push with to_offline=False.")
        sequence = _append(view, table, offline, run_id, definition_hash)
        output = Output(name=view.name, table=f"{offline.dataset}.{view.name}", sequence=sequence)
        run.update(sequence=sequence, outputs=(output,))
    return sum(online.push(view, batch, sequence=sequence, expire=expire) for batch in table.to_batches())


def table_of(view: FeatureView, rows: Rows) -> pa.Table:
    """The rows as the view's `row_columns`; nullable columns may be missing. Raises InvalidRequest."""
    import pyarrow as pa

    columns = _columns(rows)
    known = [column.name for column in view.row_columns]
    unknown = [name for name in columns if name not in known]
    if unknown:
        raise InvalidRequest(f"{view} has no column '{unknown[0]}'. Its columns: {', '.join(known)}.")
    count = max((len(values) for values in columns.values()), default=0)
    arrays = []
    for column in view.row_columns:
        if columns and column.name not in columns and not (column.nullable or column.name == CREATED_TIMESTAMP):
            raise InvalidRequest(f"{view}: the pushed rows lack column '{column.name}'.")
        type_ = arrow_schema([column]).field(0).type
        values = columns.get(column.name, [None] * count)
        try:
            if column.type.item in _EXACT:
                exact = _EXACT[column.type.item]
                values = [
                    None if value is None else list(map(exact, value)) if column.type.is_list else exact(value)
                    for value in values
                ]
            arrays.append(pa.array(values, type_))
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError, ValueError, OverflowError, AttributeError) as error:
            raise InvalidRequest(f"{view}: column '{column.name}' takes {column.type}: {error}.") from error
        if len(values) != count:
            raise InvalidRequest(f"{view}: column '{column.name}' has {len(values)} values, others have {count}.")
    return pa.Table.from_arrays(arrays, schema=arrow_schema(view.row_columns))


def _whole(value: Any) -> int | None:
    """Arrow would cut a float off, and take a truth value for a number."""
    if isinstance(value, bool):
        raise TypeError(f"{value!r} is bool")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value is None else operator.index(value)


def _moment(value: Any) -> datetime | None:
    return None if value is None else utc(value)


_EXACT: dict[DataType, Callable[[Any], Any]] = {DataType.INT64: _whole, DataType.TIMESTAMP: _moment}


def _columns(rows: Rows) -> dict[str, Sequence[Any]]:
    if isinstance(rows, Mapping):
        return {str(name): list(values) for name, values in rows.items()}
    if hasattr(rows, "to_pydict"):
        return dict(rows.to_pydict())
    if hasattr(rows, "columns") and hasattr(rows, "to_dict"):
        frame = rows.astype(object).where(rows.notna(), None)
        return {str(name): frame[name].tolist() for name in frame.columns}
    dicts = list(rows)
    if not all(isinstance(row, Mapping) for row in dicts):
        raise InvalidRequest("The pushed rows are a DataFrame, an Arrow table, a list of dicts or a dict of columns.")
    return {name: [row.get(name) for row in dicts] for name in dict.fromkeys(key for row in dicts for key in row)}


def _check(view: FeatureView, table: pa.Table) -> None:
    for column in view.row_columns:
        values = table.column(column.name).to_pylist()
        may_be_null = column.nullable or column.name == CREATED_TIMESTAMP
        if not may_be_null and None in values:
            raise ChecksFailed(f"{view}: column '{column.name}' is never null; row {values.index(None)} is. {_NOTHING}")
        for rule in column.rules:
            for place, value in enumerate(values):
                if value is not None and not keeps(rule, value):
                    raise ChecksFailed(
                        f"{view}: column '{column.name}': {value!r} of row {place} is not {rule}. {_NOTHING}"
                    )
    times = [*view.join_keys, EVENT_TIMESTAMP, *([CREATED_TIMESTAMP] if view.has_created_timestamp else [])]
    keys = list(zip(*(table.column(name).to_pylist() for name in times), strict=True))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ChecksFailed(f"{view}: {dict(zip(times, twice, strict=True))} is pushed twice. {_NOTHING}")


_NOTHING = "Nothing was pushed."

_RULES: dict[str, Callable[..., bool]] = {
    "equal_to": lambda v, value: v == value,
    "not_equal_to": lambda v, value: v != value,
    "greater_than": lambda v, min_value: v > min_value,
    "greater_than_or_equal_to": lambda v, min_value: v >= min_value,
    "less_than": lambda v, max_value: v < max_value,
    "less_than_or_equal_to": lambda v, max_value: v <= max_value,
    "in_range": lambda v, min_value, max_value, include_min=True, include_max=True: (
        (v >= min_value if include_min else v > min_value) and (v <= max_value if include_max else v < max_value)
    ),
    "isin": lambda v, allowed_values: v in allowed_values,
    "notin": lambda v, forbidden_values: v not in forbidden_values,
    "str_matches": lambda v, pattern: re.match(pattern, v) is not None,
    "str_contains": lambda v, pattern: re.search(pattern, v) is not None,
    "str_startswith": lambda v, string: v.startswith(string),
    "str_endswith": lambda v, string: v.endswith(string),
    "str_length": lambda v, min_value=None, max_value=None, exact_value=None: (
        (min_value is None or len(v) >= min_value)
        and (max_value is None or len(v) <= max_value)
        and (exact_value is None or len(v) == exact_value)
    ),
}


def keeps(rule: Rule, value: Any) -> bool:
    """Whether a value that is not null keeps a rule of Pandera's. Raises InvalidRequest for one that needs its code."""
    if rule.name not in _RULES:
        raise InvalidRequest(f"Rule {rule} is code, which a push cannot run. Compute the rows instead.")
    return _RULES[rule.name](value, **rule.arguments)


def _append(view: FeatureView, table: pa.Table, store: OfflineStore, run_id: str, definition_hash: str) -> int:
    times = table.column(EVENT_TIMESTAMP).to_pylist()
    staged = store.stage(table, name=view.name, run_id=run_id)
    draft = Draft(
        name=view.name,
        table=f"{store.dataset}.{view.name}",
        columns=view.row_columns,
        keys=view.join_keys,
        time=EVENT_TIMESTAMP,
        interval=Interval(min(times), max(times) + timedelta(microseconds=1)),
        appended=True,
        description=view.description,
        run_id=run_id,
        definition_hash=definition_hash,
        schema_hash=view.schema_hash,
        published_at=datetime.now(UTC),
    )
    try:
        return store.publish(staged, draft).sequence
    except BaseException:
        store.discard(staged)
        raise
