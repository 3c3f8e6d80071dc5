"""The canonical form of an Ibis expression. The form does not depend on the release of Ibis.

Each node becomes plain data. Its name is the SHA-256 of the data, and nodes refer to each other by name. Values and
rows have separate forms: `value` is the form of a column as a function of the source tables' columns, through all
projections; `rows` is the form of what determines the set of rows (filters, joins, groups, limits). So an added column
does not change the form of other columns, and a table that is not read is not in the form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from inspect import Parameter
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.expr.operations.udf import AggUDF, InputType, ScalarUDF

from amora_fs_assets.domain.identity.fingerprint import canonical_json
from amora_fs_assets.domain.identity.forms import in_order, scalar, type_word
from amora_fs_assets.domain.identity.moments import marker

_EITHER_WAY = (
    ops.Add, ops.Multiply, ops.Equals, ops.NotEquals, ops.IdenticalTo, ops.BitwiseAnd, ops.BitwiseOr, ops.BitwiseXor,
    ops.Xor,
)  # fmt: skip
_PASS_ON = (
    ops.Filter, ops.Sort, ops.Limit, ops.Distinct, ops.DropNull, ops.Sample, ops.DropColumns,
)  # fmt: skip
_MIRRORED = {ops.Greater: "less", ops.GreaterEqual: "less_equal"}
_KEEP_ROWS = ("asof", "any_left")  # joins that keep exactly the rows of the left side
_NUMBERED = {"identifier", "counter", "unique"}  # counters of the expressions that a process has made

Places = Mapping[tuple[str | None, str], str]
"""The names of the sources, by (dataset, table)."""


class Forms:
    """The forms of one expression's nodes, by name.

    Args:
        places: The sources that the expression reads, by (dataset, table).
        code: Gives the form of a user-defined function.

    """

    def __init__(self, places: Places, code: Callable[[Any], Any]) -> None:
        self.forms: dict[str, list[Any]] = {}
        self._places = places
        self._code = code
        self._values: dict[ops.Node, str] = {}
        self._rows: dict[ops.Node, str] = {}
        self._over_rows: set[str] = set()  # values that depend on other rows, such as window functions
        self._arguments: dict[ops.Node, str] = {}
        self._views: dict[ops.Node, int] = {}

    def read(self, root: ops.Relation) -> None:
        """Read the expression from the tables up, without recursion, since expressions may be deep."""
        nodes = _bottom_up(root)
        views = [node for node in nodes if isinstance(node, ops.SelfReference)]
        for node in views:
            rank = sum(other.identifier < node.identifier for other in views if other.parent == node.parent)
            self._views[node] = rank
        self._number_arguments(nodes)
        for node in nodes:
            if isinstance(node, ops.Relation):
                self.rows(node)
            elif isinstance(node, ops.Value):
                self.value(node)

    def put(self, *form: Any) -> str:
        """Store a form and return its name."""
        name = hashlib.sha256(canonical_json(form).encode()).hexdigest()
        self.forms[name] = list(form)
        return name

    # Rows

    def rows(self, node: ops.Relation) -> str:
        """The name of the form of what determines the relation's rows."""
        if node not in self._rows:
            self._rows[node] = self._rows_of(node)
        return self._rows[node]

    def top_rows(self, node: ops.Relation) -> str:
        """As `rows`, for a whole expression: without the sort order, since the rows are a set."""
        name = self.rows(node)
        while self.forms[name][0] == "sorted":
            name = self.forms[name][1]
        return name

    def _rows_of(self, node: ops.Relation) -> str:
        match node:
            case ops.UnboundTable() | ops.DatabaseTable():
                place = (node.namespace.database, node.name)
                return self.put("source", self._places.get(place, f"{place[0]}.{place[1]}"))
            case ops.Project():
                return self._projected(node)
            case ops.Filter():
                return self._filtered(self.rows(node.parent), node.predicates, node.parent)
            case ops.DropNull():
                columns = node.subset or [ops.Field(node.parent, name) for name in node.parent.schema.names]
                values = in_order([self.value(each) for each in columns])
                return self.put("without_nulls", self.rows(node.parent), node.how, values)
            case ops.DropColumns() | ops.FillNull() | ops.Reference():
                return self.rows(node.parent)
            case ops.Aggregate():
                groups = in_order([self._at(node.parent, each) for each in node.groups.values()])
                return self.put("grouped", self.rows(node.parent), groups)
            case ops.Sort():
                keys = [self._at(node.parent, key) for key in node.keys]
                return self.put("sorted", self.rows(node.parent), keys)
            case ops.Distinct():
                return self.put("distinct", *self._rows_and_columns(node.parent))
            case ops.Union() if not node.distinct:
                return self.put("union_all", self.rows(node.left), self.rows(node.right))
            case ops.Set():
                kind = [type(node).__name__.lower(), node.distinct]
                sides = [[self.rows(side), self._columns(side)] for side in (node.left, node.right)]
                return self.put(kind, *sides)
            case ops.JoinChain():
                links = [self._link(node, number) for number in self._joins_that_change_rows(node)]
                return self.put("joined", self.rows(node.first), links) if links else self.rows(node.first)
            case _:
                return self.put("rows", *self._generic(node))

    def _projected(self, node: ops.Project) -> str:
        unnested = [value for value in node.values.values() if value.find(ops.Unnest, filter=ops.Value)]
        rows = self.rows(node.parent)
        return self.put("unnested", rows, in_order([self.value(each) for each in unnested])) if unnested else rows

    def _filtered(self, rows: str, predicates: Iterable[ops.Value], parent: ops.Relation) -> str:
        """Successive filters are merged into one, and the order of the conditions does not matter."""
        conditions = [self._at(parent, part) for each in predicates for part in _conjuncts(each)]
        if self.forms[rows][0] == "where":
            _, rows, before = self.forms[rows]
            conditions += before
        return self.put("where", rows, in_order(list(set(conditions))))

    def _rows_and_columns(self, node: ops.Relation) -> tuple[str, Any]:
        return self.rows(node), in_order([value for _, value in self._columns(node)])

    def _columns(self, node: ops.Relation) -> list[Any]:
        return in_order([[name, self.value(ops.Field(node, name))] for name in node.schema.names])

    def _joins_that_change_rows(self, node: ops.JoinChain) -> list[int]:
        return [number for number, link in enumerate(node.rest) if link.how not in _KEEP_ROWS]

    def _link(self, node: ops.JoinChain, number: int) -> str:
        """A join of the chain, with the earlier joins that its condition refers to."""
        link = node.rest[number]
        looked_at = {each for predicate in link.predicates for each in predicate.relations}
        before = [self._link(node, other) for other in range(number) if node.rest[other].table in looked_at]
        conditions = in_order([self.value(part) for each in link.predicates for part in _conjuncts(each)])
        return self.put("join", link.how, self._side(link.table), self.rows(link.table.parent), conditions, before)

    def _side(self, node: ops.Reference) -> list[Any]:
        if isinstance(node, ops.SelfReference):
            return ["again", self._views.get(node, 0)]
        return ["side", node.identifier]

    # Values

    def value(self, node: ops.Value) -> str:
        """The name of a value's form, as a function of the tables' columns."""
        if node not in self._values:
            self._values[node] = self._value_of(node)
        return self._values[node]

    def _kept(self, node: ops.Value, *form: Any) -> str:
        name = self.put(*form)
        parts = (each for each in node.__args__ if isinstance(each, ops.Value | tuple))
        inner = (each for part in parts for each in (part if isinstance(part, tuple) else (part,)))
        if isinstance(node, ops.WindowFunction | ops.Analytic) or any(
            self._values.get(each) in self._over_rows for each in inner if isinstance(each, ops.Value)
        ):
            self._over_rows.add(name)
        return name

    def _at(self, rows: ops.Relation, node: ops.Value) -> str:
        """The value's form; with the form of the rows if the value depends on other rows."""
        value = self.value(node)
        return self.put("over", self.rows(rows), value) if value in self._over_rows else value

    def _value_of(self, node: ops.Value) -> str:
        match node:
            case ops.Alias():
                return self.value(node.arg)
            case ops.Field():
                return self._field(node.rel, node.name)
            case ops.Literal():
                return self.put("literal", *self._literal(node))
            case ops.Argument():
                return self.put("argument", self._arguments.get(node, ""), type_word(node.dtype))
            case ops.And() | ops.Or():
                parts = {self.value(each) for each in _flat(node, type(node))}
                return self._kept(node, type(node).__name__.lower(), sorted(parts))
            case ops.Between():
                bounds = [["less_equal", self.value(node.lower_bound), self.value(node.arg)],
                          ["less_equal", self.value(node.arg), self.value(node.upper_bound)]]  # fmt: skip
                return self._kept(node, "and", in_order([self.put(*each) for each in bounds]))
            case ops.Greater() | ops.GreaterEqual():
                return self._kept(node, _MIRRORED[type(node)], self.value(node.right), self.value(node.left))
            case ops.Binary() if isinstance(node, _EITHER_WAY):
                sides = in_order([self.value(node.left), self.value(node.right)])
                return self._kept(node, _word(node), sides)
            case ops.InValues():
                options = in_order([self.value(each) for each in node.options])
                return self._kept(node, "in", self.value(node.value), options)
            case ops.ScalarSubquery() | ops.InSubquery() | ops.ExistsSubquery():
                return self._kept(node, *self._generic(node))
            case ScalarUDF() | AggUDF():
                return self._kept(node, *self._udf(node))
            case _:
                return self._kept(node, *self._generic(node))

    def _field(self, rel: ops.Relation, name: str) -> str:
        match rel:
            case ops.UnboundTable() | ops.DatabaseTable():
                return self.put("column", self.rows(rel), name, type_word(rel.schema[name]))
            case ops.Project():
                return self._at(rel.parent, rel.values[name])
            case ops.Aggregate():
                return self.put("of_group", self.rows(rel), self._at(rel.parent, rel.values[name]))
            case ops.FillNull():
                return self._filled(rel, name)
            case ops.Reference():
                return self.put(*self._side(rel), self.value(ops.Field(rel.parent, name)))
            case ops.JoinChain():
                return self._joined(rel, rel.values[name])
            case ops.Set():
                sides = [[self.rows(each), self.value(ops.Field(each, name))] for each in (rel.left, rel.right)]
                return self.put("of_either", *sides)
            case _ if isinstance(rel, _PASS_ON):
                return self.value(ops.Field(rel.parent, name))
            case _:
                return self.put("column", self.rows(rel), name)

    def _filled(self, rel: ops.FillNull, name: str) -> str:
        value, by_name = ops.Field(rel.parent, name), rel.replacements
        given = by_name.get(name) if hasattr(by_name, "get") else by_name
        if given is None or (not hasattr(by_name, "get") and not dt.castable(given.dtype, value.dtype)):
            return self.value(value)
        form = self.value(given) if isinstance(given, ops.Value) else self.put("literal", *(scalar(given) or [given]))
        return self.put("coalesce", [self.value(value), form])

    def _joined(self, chain: ops.JoinChain, value: ops.Value) -> str:
        """A column of a join. A column of the first table keeps its form if no join of the chain changes its rows."""
        tables = [link.table for link in chain.rest]
        used = [self._link(chain, number) for number, table in enumerate(tables) if table in value.relations]
        if not used and isinstance(value, ops.Field) and not self._joins_that_change_rows(chain):
            return self.value(ops.Field(chain.first.parent, value.name))
        return self.put("of_join", used, self.value(value))

    def _literal(self, node: ops.Literal) -> list[Any]:
        value, dtype = node.value, node.dtype
        if value is None:
            return ["null"]
        if dtype.is_interval():
            micros = _MICROS.get(dtype.unit.short)
            return ["duration", value * micros] if micros and isinstance(value, int) else [str(dtype.unit.short), value]
        if dtype.is_timestamp() and (made := marker(value)):
            return made
        if dtype.is_floating() and isinstance(value, int | float):
            value = float(value)
        return scalar(value) or [type_word(dtype), self._plain(value)]

    def _udf(self, node: Any) -> list[Any]:
        kind = node.__input_type__
        called = node.__func_name__ if kind is InputType.BUILTIN else self._code(node.__func__)
        place = [str(part) for part in (node.__udf_namespace__.catalog, node.__udf_namespace__.database) if part]
        arguments = [self._plain(each) for each in node.__args__]
        return ["function", kind.name.lower(), place, called, type_word(node.dtype), arguments]

    def _generic(self, node: ops.Node) -> list[Any]:
        """The operation's word, and its arguments by name, without None and default values."""
        form: list[Any] = [_word(node)]
        parameters = node.__signature__.parameters
        for name, part in zip(node.__argnames__, node.__args__, strict=True):
            default = parameters[name].default
            if name in _NUMBERED or part is None or (default is not Parameter.empty and part == default):
                continue
            form.append([_ARGUMENTS.get((form[0], name), name), self._plain(part)])
        return form

    def _plain(self, part: Any) -> Any:
        match part:
            case ops.Relation():
                return [self.rows(part), self._columns(part)]
            case ops.Value():
                return self.value(part)
            case dt.DataType():
                return type_word(part)
            case list() | tuple():
                return [self._plain(each) for each in part]
            case Enum():
                return str(part.value)
            case Mapping():
                return [[self._plain(name), self._plain(each)] for name, each in part.items()]
            case ops.Node():
                return self._generic(part)
        if (form := scalar(part)) is not None:
            return form
        return self._code(part)

    def _number_arguments(self, nodes: Iterable[ops.Node]) -> None:
        """Name the parameters of `array.map(lambda ...)` by their position, not by their name in the code."""
        depth: dict[ops.Node, int] = {}
        for node in nodes:
            depth[node] = max((depth[each] for each in _children(node)), default=0)
            if isinstance(node, ops.ArrayMap | ops.ArrayFilter):
                depth[node] += 1
                for role in ("param", "index"):
                    argument = getattr(node, role)
                    if isinstance(argument, ops.Argument):
                        self._arguments.setdefault(argument, f"{role} {depth[node]}")


_MICROS = {"us": 1, "ms": 1_000, "s": 10**6, "m": 60 * 10**6, "h": 3_600 * 10**6, "D": 86_400 * 10**6,
           "W": 7 * 86_400 * 10**6}  # fmt: skip
_WORDS: dict[str, str] = {}
"""Our word for an operation whose name in Ibis differs from the name in version 1 of the form."""
_ARGUMENTS = {("sort_key", "expr"): "arg"}  # before Ibis 12
"""Our word for an argument whose name differs between releases of Ibis, by our word for the operation."""


def _word(node: ops.Node) -> str:
    name = type(node).__name__
    if name in _WORDS:
        return _WORDS[name]
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def _bottom_up(root: ops.Node) -> list[ops.Node]:
    """All nodes of the expression, children before parents. Without recursion, since expressions may be deep."""
    done: dict[ops.Node, None] = {}
    pending = [(root, False)]
    while pending:
        node, ready = pending.pop()
        if ready:
            done[node] = None
        elif node not in done:
            pending += [(node, True), *((each, False) for each in _children(node) if each not in done)]
    return list(done)


def _children(node: Any) -> Iterator[ops.Node]:
    parts = node.__args__ if isinstance(node, ops.Node) else node.values() if isinstance(node, Mapping) else node
    for part in parts:
        if isinstance(part, ops.Node):
            yield part
        elif isinstance(part, tuple | list | Mapping):
            yield from _children(part)


def _flat(node: ops.Value, kind: type[ops.Value]) -> Iterable[ops.Value]:
    pending = [node]
    while pending:
        each = pending.pop()
        if isinstance(each, kind):
            pending += [each.left, each.right]
        else:
            yield each


def _conjuncts(node: ops.Value) -> Iterable[ops.Value]:
    return _flat(node, ops.And)
