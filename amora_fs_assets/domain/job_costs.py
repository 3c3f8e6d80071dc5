"""The costs of the offline store's jobs: the store reports each job, and meters collect them."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar, Token
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_running: ContextVar[tuple[Meter, ...]] = ContextVar("running", default=())


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that the offline store's engine ran, as the engine accounts for it."""

    id: str
    step: str  # "load", "stage", "read", "prepare" or "publish"
    bytes_processed: int
    bytes_billed: int
    slot_ms: int
    cost: float  # in the currency of the price in the settings


class Meter:
    """Collects the jobs that run inside `with meter:`, which may be entered several times in succession.

    `name` is the view, source or training set of the work, `run_id` the run. Engines label their jobs with both.
    """

    def __init__(self, name: str = "", run_id: str = "") -> None:
        self.name = name
        self.run_id = run_id
        self.jobs: list[Job] = []
        self._token: Token[tuple[Meter, ...]] | None = None

    @property
    def bytes(self) -> int | None:
        """The bytes that the jobs processed; None without jobs. DuckDB reports no jobs."""
        return sum(job.bytes_processed for job in self.jobs) if self.jobs else None

    def __enter__(self) -> Self:
        self._token = _running.set((*_running.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._token is not None, "left after it was entered"
        _running.reset(self._token)


def ran(job: Job) -> None:
    """Report a finished job to all active meters."""
    for meter in _running.get():
        meter.jobs.append(job)


def on_behalf() -> Meter | None:
    """The innermost active meter with a name; None if there is none."""
    return next((meter for meter in reversed(_running.get()) if meter.name), None)


def costs(jobs: Iterable[Job]) -> dict[str, float]:
    """The totals of the jobs, by names that include the unit; empty without jobs."""
    jobs = tuple(jobs)
    if not jobs:
        return {}
    return {
        "bytes processed": sum(job.bytes_processed for job in jobs),
        "bytes billed": sum(job.bytes_billed for job in jobs),
        "slot time [ms]": sum(job.slot_ms for job in jobs),
        "cost": round(sum(job.cost for job in jobs), 6),
    }
