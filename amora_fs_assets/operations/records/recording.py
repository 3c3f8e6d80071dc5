"""Every run leaves a record, successful or not. Imports neither Ibis nor Arrow, so that a model server can push."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.errors import RegistryError, message_of
from amora_fs_assets.domain.job_costs import Meter
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import RunKind, RunRecord
from amora_fs_assets.domain.time import Clock, wall_clock

_log = logging.getLogger(__name__)


class Recording:
    """The record of a run in progress."""

    def __init__(
        self,
        kind: RunKind,
        name: str,
        *,
        run_id: str,
        registry: Registry,
        now: Clock = wall_clock,
        began: datetime | None = None,
        **known: Any,
    ) -> None:
        """Begin a record.

        Args:
            kind: What the run does.
            name: The feature view, source or training set.
            run_id: The id of the run.
            registry: Where the record is kept.
            now: The wall clock.
            began: When the run began; now by default.
            known: Other fields of the record that are known already.

        """
        self.meter = Meter(name, run_id)
        self.fields = known
        self.url = ""
        """The location of the record; "" before `keep`."""
        self._registry = registry
        self._now = now
        self._identity: dict[str, Any] = {"kind": kind, "name": name, "run_id": run_id, "started_at": began or now()}

    def keep(self, error: BaseException | None = None) -> RunRecord:
        """Write the record; with an error, as the record of a failed run. Raises RegistryError."""
        measured: dict[str, Any] = {"bytes": self.meter.bytes, "jobs": tuple(self.meter.jobs)}
        fields = {"status": "failed" if error else "succeeded", **measured, **self.fields}
        if error is not None:
            fields["error"] = message_of(error)
        record = RunRecord(**self._identity, finished_at=self._now(), **fields)
        self.url = f"{self._registry.url}/{self._registry.record(record)}"
        return record


@contextmanager
def recorded(
    kind: RunKind,
    name: str,
    *,
    run_id: str,
    registry: Registry,
    now: Clock = wall_clock,
    needed: bool = True,
    began: datetime | None = None,
    **known: Any,
) -> Iterator[dict[str, Any]]:
    """Record the block as one run. An error in the block is recorded as a failed run and raised again.

    Yields the record's other fields, `known` at first, for the caller to fill in. If the run succeeds and the record
    cannot be written: raises RegistryError if the record is `needed`, else logs a warning, so that serving goes on.
    """
    recording = Recording(kind, name, run_id=run_id, registry=registry, now=now, began=began, **known)

    def keep(error: BaseException | None, *, raises: bool) -> None:
        try:
            recording.keep(error)
        except RegistryError as unkept:
            if raises:
                raise
            _log.warning("Run %s (%s of %s) has no record: %s", run_id, kind, name, unkept)

    with recording.meter:
        try:
            yield recording.fields
        except BaseException as error:  # an interrupted run failed too
            keep(error, raises=False)
            raise
    keep(None, raises=needed)


@contextmanager
def failure_recorded(
    kind: RunKind, name: str, *, run_id: str, registry: Registry, now: Clock = wall_clock, **known: Any
) -> Iterator[None]:
    """Record an error in the block as a failed run, and raise the error again. The caller records a success."""
    recording = Recording(kind, name, run_id=run_id, registry=registry, now=now, **known)
    with recording.meter:
        try:
            yield
        except BaseException as error:
            recording.keep(error)
            raise
