"""A code location and the registry never change at once: code of both sides runs, or says why it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ibis.expr.types import Table

from amora_fs_assets.domain.applied import check_applied
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import DefinitionNotApplied
from amora_fs_assets.operations.offline import compute as verb
from amora_fs_assets.operations.online.parity import parity
from amora_fs_assets.operations.registry.applied_table import sync
from amora_fs_assets.operations.registry.apply import apply
from amora_fs_assets.stores.open import open_online_store as connect
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import ONLINE, RAW, VIEW, Project, error_of

pytestmark = pytest.mark.slow


def doubled(orders: Table) -> Table:
    return orders.select("customer", amount=orders.amount * 2, event_timestamp=orders["at"])


COSMETIC: dict[str, Callable[[], Catalogue]] = {
    "words": lambda: small.catalogue(owner="others@example.com", description="Spent.", tags={"domain": "market"}),
    "ttl": lambda: small.catalogue(ttl=timedelta(days=30)),
}


@dataclass
class Deploy:
    """The code that is going and the code that is coming, over the same stores."""

    old: Project
    new: Project

    @property
    def amounts(self) -> list[float]:
        """What is published."""
        return sorted(self.old.load(VIEW)["amount"])

    def apply_new(self) -> None:
        apply(self.new.code, self.new.registry, clock=datetime.now(UTC))
        sync(self.new.registry, self.new.offline)

    def check_online(self) -> None:
        """What is served is what the tables hold, by the definition that is applied."""
        view, online = self.new.registry.catalogue().feature_view("spending"), connect(self.new.settings)
        found = parity(view, self.new.offline, online, sample=None, expire=False)
        online.close()
        assert found.passed
        assert found.sampled == 3


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[[Catalogue], Deploy]]:
    opened: list[Project] = []

    def begin(code: Catalogue) -> Deploy:
        """The old code has run; the new code is deployed, and not yet applied."""
        old, new = Project(tmp_path), Project(tmp_path, code, applied=False)
        new.instance = old.instance
        opened.append(old)
        assert old.run(RAW, VIEW, ONLINE).success
        return Deploy(old, new)

    yield begin
    for each in opened:
        each.close()


def succeeded(project: Project, *keys: dg.AssetKey) -> None:
    result = project.run(*keys)
    assert result.success, error_of(result)


def refused(project: Project, *keys: dg.AssetKey) -> None:
    said = error_of(project.run(*keys))
    assert "its definition differs from the one in the registry. Run `amora-fs apply` first." in said


@pytest.mark.parametrize("change", COSMETIC)
def test_words_change_while_both_sides_run(deploy: Callable[..., Deploy], change: str) -> None:
    both = deploy(COSMETIC[change]())
    succeeded(both.new, VIEW, ONLINE)  # new code first
    both.check_online()
    both.apply_new()
    succeeded(both.old, VIEW, ONLINE)  # applied first
    succeeded(both.new, VIEW, ONLINE)
    both.check_online()
    assert both.amounts == [10.0, 20.0, 30.0, 40.0, 50.0]
    assert len(both.old.offline.publications("spending")) == 4


def test_new_code_waits_for_its_apply_and_the_old_one_runs_until_then(deploy: Callable[..., Deploy]) -> None:
    both = deploy(small.catalogue(transform=doubled))
    refused(both.new, VIEW)
    succeeded(both.new, ONLINE)  # what it loads is what is applied
    succeeded(both.old, VIEW, ONLINE)
    assert both.amounts == [10.0, 20.0, 30.0, 40.0, 50.0]
    both.check_online()
    both.apply_new()
    succeeded(both.new, VIEW, ONLINE)
    assert both.amounts == [20.0, 40.0, 60.0, 80.0, 100.0]
    both.check_online()


def test_old_code_stops_where_another_definition_is_applied_and_its_loads_go_on(deploy: Callable[..., Deploy]) -> None:
    both = deploy(small.catalogue(transform=doubled))
    both.apply_new()
    refused(both.old, VIEW)
    succeeded(both.old, ONLINE)
    both.check_online()
    succeeded(both.new, VIEW)
    succeeded(both.old, ONLINE)
    both.check_online()
    assert both.amounts == [20.0, 40.0, 60.0, 80.0, 100.0]


@pytest.mark.parametrize("real", [False, True], ids=["owner", "transform"])
def test_a_run_that_began_before_the_apply_publishes_what_is_still_so(
    deploy: Callable[..., Deploy], real: bool
) -> None:
    changes: dict[str, Any] = {"transform": doubled} if real else {"owner": "others@example.com"}
    both = deploy(small.catalogue(**changes))
    old, applied = both.old.code.feature_view("spending"), both.old.registry.catalogue()
    interval = verb.interval_of(old, small.at(1), small.at(1, month=3), small.at(1, month=3))
    staged = verb.stage(
        old, interval, store=both.old.offline, run_id="r", definition_hash=check_applied(old, applied), applied=applied
    )
    both.apply_new()
    if real:
        with pytest.raises(DefinitionNotApplied, match="another definition was applied"):
            verb.publish(staged, store=both.old.offline, now=datetime.now(UTC))
    else:
        assert verb.publish(staged, store=both.old.offline, now=datetime.now(UTC)) is not None
    assert both.amounts == [10.0, 20.0, 30.0, 40.0, 50.0]
