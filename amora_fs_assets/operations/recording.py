"""Every run leaves a record, good or not. Knows neither Ibis nor Arrow, so that a model server can push."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from amora_fs_assets.domain.errors import RegistryError, message_of
from amora_fs_assets.domain.meter import Meter
from amora_fs_assets.domain.ports import Registry
from amora_fs_assets.domain.records import RunKind, RunRecord

_log = logging.getLogger(__name__)


@contextmanager
def recorded(
    kind: RunKind,
    name: str,
    *,
    run_id: str,
    registry: Registry,
    needed: bool = True,
    began: datetime | None = None,
    **known: Any,
) -> Iterator[dict[str, Any]]:
    """Keep what is done inside as a run's record; whatever is raised makes it a failed run, and is raised on.

    It `began` now, or earlier where parts were done before. Gives the record's other fields, `known` at first, to be
    filled in. A record that cannot be kept of a run that succeeded raises RegistryError where it is `needed`;
    otherwise that is logged: who serves goes on.
    """
    started_at, fields = began or datetime.now(UTC), dict(known)

    def keep(error: BaseException | None, *, raises: bool) -> None:
        fields.setdefault("status", "failed" if error else "succeeded")
        fields.setdefault("bytes", meter.bytes)
        fields.setdefault("jobs", tuple(meter.jobs))
        if error is not None:
            fields["error"] = message_of(error)
        run = RunRecord(
            kind=kind, name=name, run_id=run_id, started_at=started_at, finished_at=datetime.now(UTC), **fields
        )  # fmt: skip
        try:
            registry.record(run)
        except RegistryError as unkept:
            if raises:
                raise
            _log.warning("Run %s (%s of %s) has no record: %s", run_id, kind, name, unkept)

    with Meter(name, run_id) as meter:
        try:
            yield fields
        except BaseException as error:  # an interrupted run failed too
            keep(error, raises=False)
            raise
    keep(None, raises=needed)


@contextmanager
def failure_recorded(kind: RunKind, name: str, *, run_id: str, registry: Registry, **known: Any) -> Iterator[None]:
    """Whatever is raised inside is kept as a failed run's record, and raised on; a success its caller records."""
    began = datetime.now(UTC)
    with Meter(name, run_id) as meter:
        try:
            yield
        except BaseException as error:
            registry.record(
                RunRecord(
                    kind=kind,
                    name=name,
                    run_id=run_id,
                    status="failed",
                    started_at=began,
                    finished_at=datetime.now(UTC),
                    bytes=meter.bytes,
                    jobs=tuple(meter.jobs),
                    error=message_of(error),
                    **known,
                )
            )
            raise
