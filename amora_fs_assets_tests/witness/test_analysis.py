"""Google's analyzer takes the SQL that BigQuery is sent: names are there, functions have arguments of their types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from amora_fs_assets import FeatureService
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.protocol import APPLIED_COLUMNS, Applied
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.bigquery.publication import (
    applied_written,
    made_anew,
    needed,
    parameters,
    preparation,
    transaction,
)
from amora_fs_assets.testing import RefusedByGoogleSQL
from amora_fs_assets.testing.witness import Tables, Witness
from amora_fs_assets_tests.operations.test_golden_sql import GOLDEN, SHAPES
from amora_fs_assets_tests.small import at

TIME, CREATED = Column("event_timestamp", DataType.TIMESTAMP), Column("created_timestamp", DataType.TIMESTAMP, True)
KEY, TEXT_KEY = Column("customer", DataType.INT64), Column("shop", DataType.STRING)
FEATURES = tuple(Column(f"of_{type_.name.lower()}", type_, True) for type_ in DataType)
COMPUTED = Draft(
    name="spending", table="feature_store.spending", columns=(KEY, TEXT_KEY, TIME, CREATED, *FEATURES),
    keys=("customer", "shop"), time="event_timestamp", interval=Interval(at(1), at(2)), run_id="run",
    published_at=at(3), applied=Applied(view="spending", view_id="v1", identity="i1", applied_number=3), seen=7,
)  # fmt: skip
DRAFTS = {
    "an interval": COMPUTED,
    "without keys": replace(COMPUTED, keys=(), columns=(TIME, *FEATURES)),
    "without created_timestamp": replace(COMPUTED, columns=(KEY, TEXT_KEY, TIME, *FEATURES)),
    "a whole view": replace(COMPUTED, interval=None, computed_from=at(1), computed_until=at(2)),
    "pushed rows": replace(COMPUTED, appended=True, seen=None),
    "a source": replace(COMPUTED, keys=(), time=None, interval=None, applied=None, seen=None),
}
_LOG = tuple(Column(name, type_) for name, type_ in PUBLICATION_COLUMNS.items())
_APPLIED = tuple(Column(name, type_) for name, type_ in APPLIED_COLUMNS.items())


def tables_of(draft: Draft) -> Tables:
    return needed(draft, "feature_store") | {draft.table: draft.columns, "feature_store._staged_run": draft.columns}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_takes_every_shape_of_join(witness: Witness, shape: str) -> None:
    parts, _ = SHAPES[shape]
    service = FeatureService("golden", parts)
    spine = [*(Column(key, DataType.STRING) for key in service.join_keys), TIME, Column("label", DataType.INT64)]
    views = {table_name(p.view, "feature_store"): p.view.row_columns for p in service.projections}
    assert witness.analyze((GOLDEN / "bigquery" / f"{shape}.sql").read_text(), {"spine": spine, **views}) == 1


@pytest.mark.parametrize("kind", DRAFTS)
def test_it_takes_every_kind_of_publication(witness: Witness, kind: str) -> None:
    draft = DRAFTS[kind]
    tables = tables_of(draft)
    script = transaction(draft, "feature_store._staged_run", "feature_store")
    assert witness.analyze(script, tables, parameters(draft)) >= 6
    made = len(needed(draft, "feature_store"))
    assert witness.analyze(preparation(draft, "feature_store", {}), {"feature_store._publications": _LOG}) == made
    older = {name: [] if name.endswith("_publications") else ["newest"] for name in tables}
    assert witness.analyze(preparation(draft, "feature_store", older), tables) >= 1
    witness.analyze(made_anew(draft, "feature_store"), tables)


def test_it_takes_what_an_apply_writes(witness: Witness) -> None:
    rows = [
        Applied(view="spending", view_id="v1", identity="i1", applied_number=3),
        Applied(view="gone", view_id="v2", identity="", applied_number=4),
    ]
    assert witness.analyze(applied_written(rows, "feature_store"), {"feature_store._applied": _APPLIED}) == 5


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT amount FROM spending", "Unrecognized name: amount"),
        ("SELECT TO_HEX(customer) FROM spending", "No matching signature for function TO_HEX"),
        ("SELECT 1; SELECT nothing FROM nowhere", "statement 2"),
        ("SELECT date_of(customer) FROM spending", "Function not found: date_of"),
    ],
)
def test_what_is_wrong_is_said(witness: Witness, sql: str, says: str) -> None:
    tables: dict[str, Any] = {"spending": [KEY]}
    with pytest.raises(RefusedByGoogleSQL, match=says):
        witness.analyze(sql, tables)
