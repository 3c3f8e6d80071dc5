"""A shop that automation keeps up to date, under a clock that tests move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from ibis.expr.types import Table

from amora_fs_assets import FeatureStore, FeatureView, Source
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.offline import load_source as sources
from amora_fs_assets.orchestration.automation import SENSOR
from amora_fs_assets.orchestration.cadence import Automation
from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.project import QUIET, Project

Order = tuple[int, datetime, float | None]
START = "2020-01-30"
ORDERS = Source("orders", small.Orders, timestamp_field="at")  # an external table


def _copied(hourly: Table) -> Table:
    return hourly.select("customer", "amount", "event_timestamp")


def view(name: str = "daily", **changes: Any) -> FeatureView:
    return small.spending(ORDERS, name=name, **{"partitions": "day", "start": START, "ttl": None, **changes})


def shop() -> Catalogue:
    """A view by the hour, and one by the day that reads it."""
    hourly = view("hourly", partitions="hour")
    copied = FeatureView(
        "copied", small.Spending, [small.customer], [hourly], transform=_copied, partitions="day", start=START
    )
    return Catalogue.of([hourly, copied])


class Shop:
    """A project whose sensor looks when a test says so, and whose requested runs are run at once."""

    def __init__(self, home: Path, code: Catalogue, now: datetime, automation: Automation | None = None) -> None:
        self.project = Project(home, code, now=now.isoformat())
        self.automation = automation or Automation()
        self.orders: list[Order] = []
        self.cursor: str | None = None
        self.said = ""
        self.events: list[Any] = []
        self.use(code)

    def use(self, code: Catalogue, *, applied: bool = True) -> None:
        """Go on with other definitions."""
        self.project.use(code, applied=applied)
        self.at(self.now)

    @property
    def now(self) -> datetime:
        assert self.project.settings.now is not None, "the clock is the test's"
        return self.project.settings.now

    def at(self, now: datetime) -> None:
        """Move the clock."""
        self.project.settings = replace(self.project.settings, now=now)
        self.project.defs = build_definitions(
            self.project.settings, definitions=self.project.code, automation=self.automation
        )

    def sell(self, *orders: Order) -> None:
        """Rows arrive in the external table."""
        self.orders += orders
        self.fill()

    def fill(self) -> None:
        """Write the table as `orders` says."""
        theirs = small.orders(self.orders)
        sources.load(theirs, run_id="theirs", store=self.project.offline, registry=self.project.registry)

    def look(self) -> Sequence[dg.RunRequest]:
        """What the sensor requests now."""
        repository = self.project.defs.get_repository_def()
        sensor = repository.get_sensor_def(SENSOR)
        with dg.build_sensor_context(
            instance=self.project.instance,
            cursor=self.cursor,
            repository_def=repository,
            sensor_name=SENSOR,
            resources=repository.get_top_level_resources(),
        ) as context:
            tick = sensor.evaluate_tick(context)
        self.cursor, self.said = tick.cursor, tick.skip_message or ""
        self.events += tick.asset_events
        return tick.run_requests or []

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Run what was requested, as a daemon does."""
        job = self.project.defs.resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            instance=self.project.instance,
            asset_selection=list(request.asset_selection or ()),
            tags=dict(request.tags),
            run_config={**QUIET, **request.run_config},
            raise_on_error=False,
        )

    def go_on(self, looks: int = 20) -> int:
        """Look and run until nothing is requested; how many runs there were."""
        for number in range(looks):
            requests = self.look()
            if not requests:
                return number
            for each in requests:
                self.run(each)
        raise AssertionError(f"it goes on asking for runs: {requests}")

    def store(self) -> FeatureStore:
        return FeatureStore(self.project.settings, self.project.code)

    def check_online(self) -> None:
        """What is served of each view is the newest order of each customer up to the clock."""
        newest: dict[int, float | None] = {}
        for customer, _, amount in sorted((o for o in self.orders if o[1] < self.now), key=lambda order: order[1]):
            newest[customer] = amount
        rows = [{"customer": each} for each in sorted(newest)]
        with self.store() as store:
            for name in self.project.code.feature_views:
                served = store.get_online_features([f"{name}:amount"], rows).to_dict()
                assert served["amount"] == [newest[each] for each in sorted(newest)], name
                assert store.parity(name).passed, name


def after_midnight(day: int, seconds: int = 30) -> datetime:
    """Seconds after a day of February 2020 has begun."""
    return small.at(day, month=2) + timedelta(seconds=seconds)
