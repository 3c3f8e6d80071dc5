"""Formulas as Ibis expressions for an engine's point-in-time join."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import ibis
from ibis.expr.operations import Cast, Field, Node
from ibis.expr.types import Table, Value

from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.dialect import Dialect
from amora_fs_assets.domain.request_time.formula import Formula, Step, joined
from amora_fs_assets.domain.types import DataType

_LONGEST = 60
"""The greatest number of nodes of an expression, over all its uses, that is not a column of an inner SELECT."""


def computed(
    table: Table, formulas: Mapping[str, Formula], columns: Mapping[str, str], request_time: str, dialect: Dialect,
    *, prefix: str = "_",
) -> Table:  # fmt: skip
    """The table with one more column per formula. A long step that is used again is computed in an inner SELECT.

    `columns` has the table's column of each input, `request_time` is the table's column with the instant of the
    request. No column of the table begins with `prefix` and "step".
    """
    steps, results = joined(formulas)
    kept = _kept(steps, dialect)
    names = list(table.columns)
    for level in sorted(set(kept.values())):
        here = _Expressions(steps, kept, columns, request_time, dialect, table, prefix)
        table = table.mutate(**{f"{prefix}step{place}": here.of(place) for place, at in kept.items() if at == level})
    here = _Expressions(steps, kept, columns, request_time, dialect, table, prefix)
    made = {name: _typed(here.of(place), formulas[name]) for name, place in results.items()}
    return table.mutate(**made).select(*names, *results)


def _typed(value: Value, formula: Formula) -> Value:
    """The value with a cast to its own type, if a null may have given it another type in the engine.

    That is a null literal, or an operation on literals alone, which an engine computes when it reads the query.
    """
    constant: list[bool] = []
    nulls = False
    for step in formula.steps:
        literal = step.operation == "literal"
        folded = bool(step.arguments) and all(constant[each] for each in step.arguments)
        nulls = nulls or folded or (literal and step.parameters[1] is None)
        constant.append(literal or folded)
    return Cast(value, IBIS_TYPES[formula.type]).to_expr() if nulls else value


class _Expressions:
    """The expressions of steps over a table, which has columns of earlier steps."""

    def __init__(
        self, steps: Sequence[Step], kept: Mapping[int, int], columns: Mapping[str, str], request_time: str,
        dialect: Dialect, table: Table, prefix: str,
    ) -> None:  # fmt: skip
        self._steps = steps
        self._inputs = {name: table[column] for name, column in columns.items()}
        self._request_time = table[request_time]
        self._dialect = dialect
        known = {place: f"{prefix}step{place}" for place in kept}
        self._made = {place: table[name] for place, name in known.items() if name in table.columns}

    def of(self, place: int) -> Value:
        """The expression of a step."""
        if place not in self._made:
            step = self._steps[place]
            arguments = [self.of(each) for each in step.arguments]
            self._made[place] = _value(step, arguments, self._inputs, self._request_time, self._dialect)
        return self._made[place]


def _value(
    step: Step, arguments: Sequence[Value], columns: Mapping[str, Value], request_time: Value, dialect: Dialect
) -> Value:
    match step.operation:
        case "column":
            return columns[step.parameters[0]]
        case "request_time":
            return request_time
        case "literal":
            return dialect.operations["literal"](step.value, IBIS_TYPES[step.type])
    made: Value = dialect.operations[step.operation](*arguments)
    type_ = IBIS_TYPES[step.type]
    return made if made.type().copy(nullable=True) == type_ else made.cast(type_)


def _kept(steps: Sequence[Step], dialect: Dialect) -> dict[int, int]:
    """The steps that become columns of inner SELECTs, and the number of the SELECT that computes each.

    A step is written where it is used, unless the text would become long: an engine's form of an operation may repeat
    its arguments, and several steps may use one.
    """
    uses: Counter[int] = Counter()
    forms = []
    for step in steps:
        own, repeats = _form(step, [steps[each].type for each in step.arguments], dialect)
        forms.append((own, repeats))
        for place, times in zip(step.arguments, repeats, strict=True):
            uses[place] += times
    kept: dict[int, int] = {}
    levels: list[int] = []
    sizes: list[int] = []
    for place, (step, (own, repeats)) in enumerate(zip(steps, forms, strict=True)):
        level = max((levels[each] for each in step.arguments), default=0)
        size = own + sum(times * sizes[each] for times, each in zip(repeats, step.arguments, strict=True))
        if step.arguments and max(uses[place], 1) * size > _LONGEST:
            kept[place] = level
            level, size = level + 1, 1
        levels.append(level)
        sizes.append(size)
    return kept


def _form(step: Step, types: Sequence[DataType], dialect: Dialect) -> tuple[int, list[int]]:
    """The number of nodes of the engine's form of the step, and how often it has each argument."""
    if not types:
        return 1, []
    names = [f"argument_{place}" for place in range(len(types))]
    table = ibis.table(dict(zip(names, (IBIS_TYPES[type_] for type_ in types), strict=True)), name="arguments")
    made = _value(step, [table[name] for name in names], {}, ibis.null(), dialect)
    found: Counter[str] = Counter()
    own, waiting = 0, [made.op()]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Field):
            found[node.name] += 1
        elif isinstance(node, tuple):
            waiting.extend(node)
        elif isinstance(node, Node):
            own += 1
            waiting.extend(node.args)
    return own, [found[name] for name in names]
