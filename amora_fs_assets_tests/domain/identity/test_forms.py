"""The canonical forms, as stored: no upgrade of Ibis or sqlglot may change one. `UPDATE_GOLDEN=1` writes new ones.

Where a release of Ibis changes a form, mend `domain/identity/expression.py`, so that old and new give the stored form.
A form that has to change has another version: `domain.identity.meaning.FORM`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.operations as ops
import pytest

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.code import Code
from amora_fs_assets.domain.identity.expression import Forms
from amora_fs_assets.domain.identity.meaning import FORM
from amora_fs_assets.domain.training_set import TrainingSet
from amora_fs_assets.operations.registry.apply import collect
from amora_fs_assets_tests.domain.identity.expressions import ONE, RELATIONS, expressions

GOLDEN = Path(__file__).parent / "golden"


def read(table: ibis.Table) -> Forms:
    forms = Forms({("raw", "one"): "one", ("raw", "two"): "two"}, Code().of)
    forms.read(table.op())
    return forms


def spelled(forms: Forms, root: str) -> list[str]:
    """A form with all that it refers to, a line each, numbered from the tables up."""
    numbers: dict[str, int] = {}
    lines: list[str] = []

    def number(value: Any) -> Any:
        if isinstance(value, list):
            return [number(each) for each in value]
        if not isinstance(value, str) or value not in forms.forms:
            return value
        if value not in numbers:
            text = json.dumps(number(forms.forms[value]), ensure_ascii=False)
            numbers[value] = len(numbers) + 1
            lines.append(f"  {numbers[value]} {text}")
        return f"#{numbers[value]}"

    number(root)
    return lines


def golden(table: ibis.Table) -> str:
    forms, root = read(table), table.op()
    named = {"rows": forms.top_rows(root)} | {name: forms.value(ops.Field(root, name)) for name in table.columns}
    return "\n".join(line for name, form in named.items() for line in (f"{name} {form}", *spelled(forms, form)))


def compared(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    text = f"form {FORM}\n{text}\n"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_the_forms_of_all_kinds_of_expressions_are_as_stored() -> None:
    compared("expressions", "\n\n".join(f"{name}\n{golden(table)}" for name, table in expressions().items()))


def test_the_meanings_of_the_sample_are_as_stored() -> None:
    sample = collect("amora_fs_assets.features")
    found: list[FeatureView | TrainingSet] = [*sample.feature_views.values(), *sample.training_sets.values()]
    meanings = {each.name: each.meaning.to_plain() for each in found if each.meaning is not None}
    compared("sample", json.dumps(meanings, indent=1))


def test_different_expressions_have_different_forms() -> None:
    seen: dict[str, str] = {}
    for name, table in expressions().items():
        form = golden(table)
        assert form not in seen, f"{name} has the form of {seen.get(form)}"
        seen[form] = name


@pytest.mark.parametrize("name", RELATIONS)
def test_a_form_says_nothing_of_the_dataset_and_the_table(name: str) -> None:
    def moved(node: ops.Node, changed: Any) -> ops.Node:
        if isinstance(node, ops.UnboundTable):
            return node.copy(name=f"{node.name}_x", namespace=ops.Namespace(database="elsewhere"))
        return node.__recreate__(changed) if changed else node

    table = RELATIONS[name]
    there = Forms({("elsewhere", "one_x"): "one", ("elsewhere", "two_x"): "two"}, Code().of)
    root = table.op().replace(moved)
    there.read(root)
    here = read(table)
    assert there.top_rows(root) == here.top_rows(table.op())
    for column in table.columns:
        assert there.value(ops.Field(root, column)) == here.value(ops.Field(table.op(), column))


def test_an_expression_is_read_however_deep_it_is() -> None:
    """Ibis itself gives up some hundred levels later."""
    value = ONE.i
    for _ in range(250):
        value = value.fill_null(0) - ONE.j
    table = ONE.select(r=value).op()
    assert read(table.to_expr()).value(ops.Field(table, "r"))
