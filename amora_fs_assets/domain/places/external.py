"""Rows of external places as unbound Ibis tables with the declared columns, and as the store has them.

Expressions are built over unbound tables that know their place. A store replaces these tables just before it compiles
an expression: columns get their declared names and types, as far as no value changes. So every expression sees the same
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot
from ibis.expr.types import Table, Value
from sqlglot import exp

from amora_fs_assets.domain.errors import SourceMismatch
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.places.place import UTC_ZONE, Place
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.ports.dialect import Dialect

_UTC = IBIS_TYPES[DataType.TIMESTAMP]
NANOSECONDS = dt.Unknown(raw_type="TIME_NS")
"""DuckDB's time of day in nanoseconds, which Ibis lacks. It is cut to microseconds, as timestamps are."""
_EXACT_INTEGER, _EXACT_DOUBLE = 18, 15
"""Decimal digits that every int64 and every float64 holds."""


class _Namespace(ops.Namespace):
    """The namespace of an unbound table with the rows of a place."""

    place: Any  # a Place; Ibis would try to read the annotation

    @property
    def args(self) -> tuple[Any, ...]:
        """The parts of the table's name, which Ibis joins when it prints an expression."""
        return (self.catalog, self.database)


@dataclass(frozen=True)
class Held:
    """The columns of a place in the store, and for a query or a file the SELECT that reads it."""

    columns: Mapping[str, dt.DataType]
    sql: str = ""


def external(place: Place) -> Table:
    """The rows of the place, as an unbound table."""
    schema = ibis.schema({column.name: IBIS_TYPES[column.type] for column in place.columns})
    catalog, database, name = _names(place)
    namespace = _Namespace(catalog=catalog, database=database, place=place)
    return ops.UnboundTable(name=name, schema=schema, namespace=namespace).to_expr()


def as_declared(query: Table) -> Table:
    """The query over tables that have the declared types. For SQL that no store runs."""
    return _replaced(query, _plain)


def as_held(query: Table, held: Callable[[Place], Held | None], dialect: Dialect) -> Table:
    """The query over the tables, queries and files as the store has them. `held` is None for a missing place."""

    def rows(place: Place) -> Table:
        found = held(place)
        return _plain(place) if found is None else _selected(place, found, dialect)

    return _replaced(query, rows)


def sql_of(query: Table, held: Callable[[Place], Held | None], dialect: Dialect) -> str:
    """The SQL of `as_held`. The text of queries is as given, since another form might mean something else."""
    text = str(ibis.to_sql(as_held(query, held, dialect), dialect=dialect.name))
    for place in sorted(places_of(query), key=lambda place: place.reference):
        if (found := held(place)) is not None and found.sql:
            _, database, name = _names(place)
            table = exp.table_(name, db=database, quoted=True).sql(dialect=dialect.name)
            text = text.replace(table, f"(\n{found.sql}\n)")
    return text


def places_of(query: Table) -> set[Place]:
    """The places whose rows the query reads."""
    tables = query.op().find(ops.UnboundTable)
    return {table.namespace.place for table in tables if isinstance(table.namespace, _Namespace)}


def query_of(place: Place, dialect: Dialect) -> str:
    """The place's query. Raises SourceMismatch if it would not be one SELECT in parentheses."""
    sql = place.where.query or ""
    try:
        kinds = [token.token_type for token in sqlglot.tokenize(sql, read=dialect.name)]
    except sqlglot.TokenError as error:
        raise SourceMismatch(f"{place.owner}: {place} cannot be read: {error}. Fix it.") from error
    depth = 0
    for kind in kinds:
        depth += (kind is sqlglot.TokenType.L_PAREN) - (kind is sqlglot.TokenType.R_PAREN)
        if depth < 0 or kind is sqlglot.TokenType.SEMICOLON:
            raise SourceMismatch(f"{place.owner}: {place} is several statements. Give one SELECT; nothing was run.")
    return sql


def column_in(place: Place, column: str, stored: Mapping[str, dt.DataType]) -> str | None:
    """The name in the table of a declared column, in the table's letter case; None if the table lacks it."""
    name = place.stored_name(column)
    if name in stored:
        return name
    return next((each for each in stored if each.casefold() == name.casefold()), None)


def fits(stored: dt.DataType, declared: dt.DataType) -> bool:
    """Whether every value of a stored type has the same value in the declared type."""
    return same(stored, declared) or _widens(stored, declared)


def same(stored: dt.DataType, declared: dt.DataType) -> bool:
    """Whether a stored type equals a declared one. BigQuery's timestamps have no precision."""
    if stored.is_timestamp() and declared.is_timestamp():
        return bool(stored.timezone == declared.timezone)
    if stored.is_array() and declared.is_array():
        return same(stored.value_type, declared.value_type)
    if stored.is_struct() and declared.is_struct():
        pairs = zip(stored.items(), declared.items(), strict=False)
        return len(stored) == len(declared) and all(a == b and same(one, other) for (a, one), (b, other) in pairs)
    return bool(stored.copy(nullable=True) == declared.copy(nullable=True))


def _widens(stored: dt.DataType, declared: dt.DataType) -> bool:
    if stored.is_null() or (stored == NANOSECONDS and declared.is_time()):
        return True
    if declared.is_string():
        return bool(stored.is_uuid() or stored.is_json())
    if stored.is_map() and declared.is_array():
        entry = declared.value_type
        is_entry = entry.is_struct() and list(entry.names) == ["key", "value"]
        return bool(is_entry and stored.key_type.is_string() and fits(stored.value_type, entry["value"]))
    if stored.is_struct() and declared.is_struct():
        names = {name.casefold(): name for name in stored.names}
        return all(
            name.casefold() in names and _fits_inside(stored[names[name.casefold()]], field)
            for name, field in declared.items()
        )
    if declared.is_timestamp():
        return bool(stored.is_timestamp() or stored.is_date())
    if declared.is_integer():
        return (stored.is_integer() and not stored.is_uint64()) or _whole_digits(stored) <= _EXACT_INTEGER
    if declared.is_floating():
        small = stored.is_integer() and stored.nbytes < 8
        return small or stored.is_floating() or (stored.is_decimal() and (stored.precision or 99) <= _EXACT_DOUBLE)
    if declared.is_decimal():
        if stored.is_decimal():
            scale = 99 if stored.scale is None else stored.scale
            whole = (stored.precision or 99) - scale
            return bool(scale <= declared.scale and whole <= declared.precision - declared.scale)
        return bool(stored.is_integer())
    if declared.is_array() and stored.is_array():
        return _fits_inside(stored.value_type, declared.value_type)
    return False


def _fits_inside(stored: dt.DataType, declared: dt.DataType) -> bool:
    """As `fits`, within a list or struct: there, times without a zone have no conversion."""
    return same(stored, declared) or (not declared.is_timestamp() and _widens(stored, declared))


def _whole_digits(stored: dt.DataType) -> int:
    """The digits of a decimal without a fraction; more than any type has for every other type."""
    return (stored.precision or 99) if stored.is_decimal() and stored.scale == 0 else 99


def cast_of(stored: str, column: str, declared: dt.DataType, dialect: Dialect) -> str:
    """The expression that a query must have for the column, as text for a message."""
    type_ = sqlglot.parse_one(str(ibis.to_sql(ibis.null(declared), dialect=dialect.name)), dialect=dialect.name)
    kind = next((each.to for each in type_.find_all(exp.Cast)), None)
    name = exp.column(stored, quoted=True)
    return f"{exp.cast(name, kind).sql(dialect=dialect.name)} AS {column}" if kind else f"... AS {column}"


def _selected(place: Place, held: Held, dialect: Dialect) -> Table:
    found = {column.name: column_in(place, column.name, held.columns) for column in place.columns}
    names = {name: stored for name, stored in found.items() if stored is not None}
    stored = {name: held.columns[name] for name in names.values()}
    as_is = list(stored) == [column.name for column in place.columns] and all(
        same(stored[column.name], IBIS_TYPES[column.type]) for column in place.columns
    )
    if as_is or len(names) < len(found):  # the engine names the missing column
        return _plain(place)
    rows = _unbound(place, stored)
    return rows.select(
        **{column.name: _converted(rows[names[column.name]], column.type, place, dialect) for column in place.columns}
    )


def _converted(value: Any, type_: DataType, place: Place, dialect: Dialect) -> Value:
    declared, kind = IBIS_TYPES[type_], value.type()
    if same(kind, declared):
        return cast("Value", value)
    local = kind.is_date() or (kind.is_timestamp() and kind.timezone is None)
    if declared.is_timestamp() and local and place.where.timezone != UTC_ZONE:
        return dialect.in_zone(value, place.where.timezone)
    if kind.is_json():
        return dialect.json_text(value)
    if kind.is_map():
        return cast("Value", dialect.entries(value).cast(declared))
    if kind.is_struct():  # by name, since a cast goes by place
        fields = {name: _field(value, name).cast(field) for name, field in declared.items()}
        return cast("Value", value.isnull().ifelse(ibis.null(declared), ibis.struct(fields)))
    return cast("Value", value.cast(declared))


def _field(value: Any, name: str) -> Any:
    stored = next(each for each in value.type().names if each.casefold() == name.casefold())
    return value[stored]


def _plain(place: Place) -> Table:
    """The place's rows with their declared types: an unbound table, with columns of other names renamed."""
    schema = {place.stored_name(column.name): IBIS_TYPES[column.type] for column in place.columns}
    table = _unbound(place, schema)
    renamed = {column.name: place.stored_name(column.name) for column in place.columns}
    renamed = {name: stored for name, stored in renamed.items() if name != stored}
    return table.rename(renamed).select([column.name for column in place.columns]) if renamed else table


def _unbound(place: Place, columns: Mapping[str, dt.DataType]) -> Table:
    catalog, database, name = _names(place)
    namespace = ops.Namespace(catalog=catalog, database=database)
    return ops.UnboundTable(name=name, schema=ibis.schema(columns), namespace=namespace).to_expr()


def _names(place: Place) -> tuple[str | None, str, str]:
    """The catalog (if given), the dataset and the name of the place's table."""
    *catalog, database, name = place.reference.split(".")
    return catalog[0] if catalog else None, database, name


def _replaced(query: Table, rows: Callable[[Place], Table]) -> Table:
    tables = query.op().find(ops.UnboundTable)
    found = {table: rows(table.namespace.place).op() for table in tables if isinstance(table.namespace, _Namespace)}
    return query.op().replace(found).to_expr() if found else query
