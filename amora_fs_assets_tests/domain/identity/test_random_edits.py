"""Random transforms, edited at random: what keeps the result keeps the meaning, what does not names what changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.expr.types import Table

from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets_tests import small

Term = tuple[Any, ...]
"""An expression over a row: ("amount",), ("number", 3), or (operation, term, term)."""
OPERATIONS = ("+", "*", "-", "least")
FEATURES = ("one", "two", "three")


@dataclass(frozen=True)
class Program:
    """A transform as data: its features, its filters, and how it is written down."""

    features: dict[str, Term]
    limits: tuple[int, ...]  # rows with a greater amount are kept
    swapped: bool = False  # commutative operations the other way round
    mirrored: bool = False  # comparisons the other way round
    stepwise: bool = False  # one filter after the other, and features by way of columns in between
    backwards: bool = False  # filters and features in the other order


def terms() -> st.SearchStrategy[Term]:
    """Any expression."""
    leaves = st.one_of(st.just(("amount",)), st.integers(-9, 9).map(lambda number: ("number", number)))
    return st.recursive(leaves, lambda inner: st.tuples(st.sampled_from(OPERATIONS), inner, inner), max_leaves=6)


def programs() -> st.SearchStrategy[Program]:
    """Any program."""
    return st.builds(Program, st.fixed_dictionaries(dict.fromkeys(FEATURES, terms())),
                     st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True).map(tuple))  # fmt: skip


def value(table: Table, term: Term, *, swapped: bool) -> Any:
    """The term as Ibis has it."""
    match term:
        case ("amount",):
            return table.amount
        case ("number", number):
            return table.amount * 0 + number
    operation, left, right = term[0], *(value(table, each, swapped=swapped) for each in term[1:])
    match operation:
        case "+":
            return right + left if swapped else left + right
        case "*":
            return right * left if swapped else left * right
        case "-":
            return left - right
        case _:
            return left.fill_null(right)


def transform(program: Program) -> Callable[[Table], Table]:
    """The program as a function of a view."""

    def made(orders: Table) -> Table:
        limits = program.limits[::-1] if program.backwards else program.limits
        asked = [(limit < orders.amount) if program.mirrored else (orders.amount > limit) for limit in limits]
        if program.stepwise:
            rows = orders
            for limit in limits:
                rows = rows.filter((limit < rows.amount) if program.mirrored else (rows.amount > limit))
        else:
            rows = orders.filter(*asked)
        names = list(program.features)[::-1] if program.backwards else list(program.features)
        if program.stepwise:
            for name in names:
                rows = rows.mutate(**{f"{name}_": value(rows, program.features[name], swapped=program.swapped)})
            features = {name: rows[f"{name}_"] for name in names}
        else:
            features = {name: value(rows, program.features[name], swapped=program.swapped) for name in names}
        return rows.select("customer", event_timestamp=rows["at"], **features)

    return made


def meaning(program: Program) -> Meaning:
    found = small.spending(small.orders(), transform(program)).meaning
    assert found is not None
    return found


@settings(deadline=None, max_examples=40)
@given(programs(), *[st.booleans()] * 4)
def test_another_way_to_write_it_has_the_same_meaning(
    program: Program, swapped: bool, mirrored: bool, stepwise: bool, backwards: bool
) -> None:
    written = replace(program, swapped=swapped, mirrored=mirrored, stepwise=stepwise, backwards=backwards)
    assert meaning(written) == meaning(program)


def normal(term: Term) -> Any:
    """What a term computes, up to the order of what commutes."""
    if len(term) < 3:
        return term
    parts = [normal(each) for each in term[1:]]
    return (term[0], *(sorted(parts, key=repr) if term[0] in "+*" else parts))


@settings(deadline=None, max_examples=40)
@given(programs(), st.dictionaries(st.sampled_from(FEATURES), terms()), st.booleans())
def test_an_edit_names_exactly_the_features_that_it_changes(
    program: Program, edits: dict[str, Term], other_rows: bool
) -> None:
    limits = (*program.limits, 10) if other_rows else program.limits
    edited = Program({**program.features, **edits}, limits)
    changed = {name for name, term in edits.items() if normal(term) != normal(program.features[name])}
    before, after = meaning(program), meaning(edited)
    assert set(after.changed(before)) == changed
    assert (after.rows != before.rows) is other_rows
