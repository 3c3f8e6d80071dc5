"""The catalogue of a model server: from memory, never older than some seconds, also after idling."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from dataclasses import dataclass, field

import pytest

from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.operations.online import catalogue_cache as served
from amora_fs_assets.operations.online.catalogue_cache import ServedCatalogue
from amora_fs_assets_tests.servers import eventually
from amora_fs_assets_tests.small import catalogue


@dataclass
class Slow:
    """A registry that takes its time, as a bucket does, or cannot be reached."""

    now: Catalogue = field(default_factory=lambda: catalogue(owner="one@example.com"))
    reads: int = 0
    seconds: float = 0.05
    away: bool = False
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def catalogue(self) -> Catalogue:
        time.sleep(self.seconds)
        assert self.answers.wait(60)
        if self.away:
            raise RegistryError("The bucket cannot be reached.")
        self.reads += 1
        return self.now


@dataclass
class Clock:
    seconds: float = 1_000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("amora_fs_assets.operations.online.catalogue_cache.time", clock)
    return clock


@pytest.fixture
def registry() -> Slow:
    return Slow()


def resolved(features: Features, catalogue: Catalogue) -> FeatureService:
    return catalogue.resolve(features)


def owner(known: ServedCatalogue) -> str:
    return known.catalogue.feature_view("spending").owner


def test_after_idling_the_first_request_is_answered_by_what_was_applied_meanwhile(clock: Clock, registry: Slow) -> None:
    known = ServedCatalogue(registry, resolved)  # type: ignore[arg-type]
    assert owner(known) == "one@example.com"
    registry.now = catalogue(owner="two@example.com")
    clock.seconds += served.LOOKED_AT_AFTER + 1
    assert known.known("spending", full_feature_names=False) is None  # an event loop does not wait here
    assert owner(known) == "two@example.com"
    assert registry.reads == 2


def test_under_way_it_is_refreshed_beside_the_requests(clock: Clock, registry: Slow) -> None:
    known = ServedCatalogue(registry, resolved)  # type: ignore[arg-type]
    known.plan("spending", full_feature_names=False)
    registry.now = catalogue(owner="two@example.com")
    clock.seconds += served.REFRESHED_EVERY + 1
    assert known.known("spending", full_feature_names=False) is not None
    assert owner(known) == "one@example.com"
    eventually(lambda: registry.reads == 2 and owner(known) == "two@example.com")


def test_requests_that_come_at_once_after_idling_ask_the_registry_once(clock: Clock, registry: Slow) -> None:
    known = ServedCatalogue(registry, resolved)  # type: ignore[arg-type]
    owner(known)
    clock.seconds += served.LOOKED_AT_AFTER + 1
    threads = [threading.Thread(target=owner, args=(known,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.reads == 2


def test_while_the_registry_is_out_of_reach_the_last_catalogue_serves_for_an_hour(
    clock: Clock, registry: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    known = ServedCatalogue(registry, resolved)  # type: ignore[arg-type]
    owner(known)
    registry.away = True
    clock.seconds += served.SERVED_FOR - 1
    with caplog.at_level(logging.WARNING):
        assert owner(known) == "one@example.com"
    assert "could not be refreshed" in caplog.text
    clock.seconds += served.LOOKED_AT_AFTER + 1
    with pytest.raises(RegistryError, match="cannot be reached"):
        owner(known)
    registry.away = False
    assert owner(known) == "one@example.com"


def test_the_event_loop_goes_on_while_a_request_waits_for_the_registry(clock: Clock, registry: Slow) -> None:
    known = ServedCatalogue(registry, resolved)  # type: ignore[arg-type]
    known.plan("spending", full_feature_names=False)
    clock.seconds += served.LOOKED_AT_AFTER + 1
    registry.answers.clear()

    async def asked() -> None:
        """As FeatureStore.get_online_features_async asks."""
        assert known.known("spending", full_feature_names=False) is None
        waiting = asyncio.create_task(asyncio.to_thread(known.plan, "spending", full_feature_names=False))
        for _ in range(4):
            await asyncio.sleep(0)
        assert not waiting.done()
        registry.answers.set()  # which a loop that waits would never come to
        await waiting

    asyncio.run(asked())
