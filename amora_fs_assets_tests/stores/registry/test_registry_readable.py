"""Nothing is written to the registry that cannot be read back, and what cannot be read says how to mend it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column, Rule
from amora_fs_assets.domain.errors import DefinitionError, RegistryCorrupt
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.registry import registry_json as form
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests import small
from amora_fs_assets_tests.small import at


@pytest.fixture
def registry(tmp_path: Path) -> ObjectRegistry:
    return ObjectRegistry(FolderObjectStore(tmp_path / "registry"))


def _with(view: dict[str, Any]) -> Catalogue:
    """A catalogue whose view has what no constructor lets in."""
    catalogue = small.catalogue()
    vars(catalogue.feature_view("spending")).update(view)
    return catalogue


_TUPLE = Rule("isin", {"allowed_values": (1,)})


@pytest.mark.parametrize(
    "view",
    [
        {"ttl": timedelta.max},  # reading overflows
        {"ttl": -timedelta(1)},  # reading refuses the value
        {"lookback": timedelta(days=300_000, microseconds=1)},  # reading gives another value
        {"tags": {"tier": 1}},
        {"columns": (Column("customer", DataType.INT64), Column("amount", DataType.FLOAT64, rules=(_TUPLE,)))},
    ],
    ids=["overflow", "refused", "another value", "another type", "tuple"],
)  # fmt: skip
def test_what_could_not_be_read_again_is_refused_by_name_with_nothing_written(
    registry: ObjectRegistry, tmp_path: Path, view: dict[str, Any]
) -> None:
    first = registry.apply(small.catalogue(), parent=None, clock=at(1))
    files = sorted(tmp_path.rglob("*.json"))
    with pytest.raises(DefinitionError, match="Nothing was applied.*'spending'"):
        registry.apply(_with(view), parent=first.hash, clock=at(2))
    assert sorted(tmp_path.rglob("*.json")) == files
    assert ObjectRegistry(FolderObjectStore(tmp_path / "registry")).head() == first


def test_a_snapshot_that_an_older_release_wrote_and_nobody_can_read_names_the_definition_and_the_way_back(
    registry: ObjectRegistry, tmp_path: Path
) -> None:
    first = registry.apply(small.catalogue(), parent=None, clock=at(1))
    data = form.write_snapshot(_with({"ttl": timedelta.max}), parent=first, applied_at=at(2))
    (tmp_path / "registry" / "snapshots" / f"{form.sha256(data)}.json").write_bytes(data)
    head = tmp_path / "registry" / "head.json"
    before = json.loads(head.read_text())
    head.write_text(json.dumps({**before, "snapshot": form.sha256(data)}))

    broken = ObjectRegistry(FolderObjectStore(tmp_path / "registry"))
    with pytest.raises(RegistryCorrupt, match=f"Feature view 'spending' cannot be read.*head.json.*{first.hash}"):
        broken.catalogue()
    head.write_text(json.dumps({**before, "snapshot": first.hash}))  # as the message says
    assert broken.catalogue().hash == small.catalogue().hash


def test_words_that_new_definitions_may_not_have_are_read_from_older_registries() -> None:
    plain = small.catalogue().to_plain()
    for kind in ("feature_views", "feature_services", "training_sets"):
        for each in plain[kind]:
            each.update(owner="the shop team", tags={"cost": "10 EUR"})
    plain["sources"][0]["owner"] = "the shop team"
    read = Catalogue.from_json(json.dumps(plain))
    assert read.feature_view("spending").owner == "the shop team"
    assert Catalogue.from_json(read.to_json()) == read


def _record(**changes: Any) -> RunRecord:
    run = RunRecord(
        kind="compute", name="spending", run_id="r", status="succeeded", started_at=at(1), finished_at=at(1)
    )
    return replace(run, **changes)


def test_a_record_with_times_of_pandas_is_kept_and_one_that_nobody_could_read_is_refused(
    registry: ObjectRegistry,
) -> None:
    registry.record(
        _record(started_at=pd.Timestamp("2020-01-01T00:00:00.000001", tz="UTC"), details={"x": float("nan")})
    )
    assert [each.started_at for each in registry.records()] == [at(1).replace(microsecond=1)]
    with pytest.raises(RegistryCorrupt, match="not a run record"):
        registry.record(_record(rows="many"))
    with pytest.raises(RegistryCorrupt, match="not a run record"):
        registry.record(_record(started_at=pd.NaT))
    assert len(list(registry.records())) == 1
