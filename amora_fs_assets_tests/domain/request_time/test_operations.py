"""The table of operations is whole, and documented."""

from __future__ import annotations

from amora_fs_assets.domain.request_time.operations import OPERATIONS
from amora_fs_assets.domain.request_time.packed import KERNELS
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets_tests.domain.request_time.formulas import each_form
from amora_fs_assets_tests.operations_reference import PAGE, operations_reference


def test_each_operation_has_a_form_in_each_engine() -> None:
    for dialect in (DUCKDB, BIGQUERY):
        assert set(dialect.operations) == {*OPERATIONS, "literal"}


def test_each_operation_is_among_the_tested_forms() -> None:
    tested = each_form().values()
    assert {formula.steps[-1].operation for formula in tested} == set(OPERATIONS)
    last_types = {(step.operation, made.steps[step.arguments[-1]].type) for made in tested for step in made.steps[-1:]}
    assert set(KERNELS) <= last_types


def test_each_operation_is_documented() -> None:
    assert PAGE.read_text() == operations_reference(), "run make docs"
