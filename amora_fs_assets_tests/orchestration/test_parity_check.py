"""The parity check of online assets, in a real Dagster run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.ports.online import Origin
from amora_fs_assets.orchestration.code_location import JOB, build_definitions
from amora_fs_assets_tests.small import CLOCK, at, catalogue
from amora_fs_assets_tests.stores.online_rows import batch

KEY = dg.AssetKey(["online", "spending"])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeatureStore]:
    """A view that is computed and not yet online."""
    store = FeatureStore(Settings(home=tmp_path, now=at(1, month=3)), catalogue())
    store.apply()
    store.compute("2020-01-01", CLOCK)
    yield store
    store.close()


def counts(evaluation: dg.AssetCheckEvaluation) -> dict[str, int]:
    """The rows of the table that the check shows, but for those of no key."""
    table = evaluation.metadata["keys"].value
    return {str(row.data["are"]): int(row.data["keys"] or 0) for row in table.records if row.data["keys"]}  # type: ignore[union-attr]


def run(store: FeatureStore) -> dg.ExecuteInProcessResult:
    job = build_definitions(store.settings, definitions=store.code).resolve_job_def(JOB)
    return job.execute_in_process(instance=dg.DagsterInstance.ephemeral(), asset_selection=[KEY], raise_on_error=False)


def test_after_a_load_what_is_served_is_checked(store: FeatureStore) -> None:
    result = run(store)
    assert result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == ("parity", True)
    assert counts(evaluation) == {"equal": 3}
    assert evaluation.description == "Of 3 keys 3 equal, no fault."


def test_a_served_row_that_is_wrong_fails_the_check(store: FeatureStore) -> None:
    run(store)
    view = store.get_feature_view("spending")
    live = store.online.generation(view)
    assert live is not None
    damaged = [batch(view, (1, at(9), -1.0))]
    origin = Origin(incarnation=live.incarnation, published_id=live.published_id)
    store.online.load(
        view,
        damaged,
        published_through=live.published_through,
        clock=live.clock,
        new_generation=True,
        origin=origin,
        expire=False,
    )
    (evaluation,) = run(store).get_asset_check_evaluations()
    assert not evaluation.passed
    assert counts(evaluation)["missing"] == 2
    assert "2 missing" in (evaluation.description or "")
