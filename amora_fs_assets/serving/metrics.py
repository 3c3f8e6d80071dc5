"""The server's metrics for Prometheus, summed over its workers."""

from __future__ import annotations

import os
import time
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.operations.online.part import Status
from amora_fs_assets.operations.online.read import OnlineResponse

_FASTEST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_STATUSES = get_args(Status)
_AGES = (1, 10, 60, 600, 3_600, 21_600, 86_400, 604_800, 2_592_000)


class Metrics:
    """The server's counters and histograms."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._children: dict[tuple[Any, ...], Any] = {}
        self._requests = Counter(
            "amora_fs_requests", "Requests answered.", ["route", "status"], registry=self._registry
        )
        self._latency = Histogram(
            "amora_fs_request_seconds", "Time from a request's head to its answer.", ["route"], buckets=_FASTEST,
            registry=self._registry,
        )  # fmt: skip
        self._statuses = Counter(
            "amora_fs_values", "Feature values by status.", ["view", "status"], registry=self._registry
        )
        self._age = Histogram(
            "amora_fs_oldest_row_age_seconds", "Age of the oldest row of a view in an answer.", ["view"],
            buckets=_AGES, registry=self._registry,
        )  # fmt: skip

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._child(self._requests, route, str(status)).inc()
        self._child(self._latency, route).observe(seconds)

    def served(self, response: OnlineResponse) -> None:
        """Count the values of one answer."""
        now = time.time()
        for each in response.views:
            times = each.event_timestamps
            if each.complete:
                self._child(self._statuses, each.view, "PRESENT").inc(len(times) * len(each.names))
            else:
                for status in _STATUSES:
                    found = sum(response.statuses[name].count(status) for name in each.names)
                    self._child(self._statuses, each.view, status).inc(found)
                times = [time for time in times if time != NEVER]
            if times:
                self._child(self._age, each.view).observe(max(0.0, now - min(times) / 1e6))

    def _child(self, metric: Any, *labels: str) -> Any:
        """A cached `metric.labels(...)`, which would check its arguments on every call."""
        key = (id(metric), *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self._registry)
        all_workers = CollectorRegistry()
        MultiProcessCollector(all_workers)  # type: ignore[no-untyped-call]
        return generate_latest(all_workers)
