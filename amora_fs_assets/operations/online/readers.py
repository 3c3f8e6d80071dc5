"""Push, rollback and unpin with their records: changes that readers see immediately. Does not import Ibis."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import Generation, OnlineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Output
from amora_fs_assets.operations.online import push as verb
from amora_fs_assets.operations.online.pushed_rows import Rows
from amora_fs_assets.operations.records.recording import recorded


def push(
    view: FeatureView,
    rows: Rows,
    *,
    online: OnlineStore | None,
    offline: OfflineStore | None,
    registry: Registry,
    run_id: str,
    clock: datetime,
    applied: Applied | None = None,
    expire: bool = True,
    refuse_lost: Callable[[FeatureView], None] | None = None,
) -> int:
    """Push rows and record the run. Returns the number of rows that were newer than the online rows.

    See operations/online/push.py. If the registry cannot be reached, the push goes on and logs a warning.
    """
    hash_ = definition_hash(view)
    known: dict[str, Any] = {"definition_hash": hash_, "schema_hash": view.schema_hash}
    with recorded("push", view.name, run_id=run_id, registry=registry, needed=False, **known) as run:
        newer = verb.push(
            view,
            rows,
            online=online,
            offline=offline,
            run_id=run_id,
            clock=clock,
            applied=applied,
            definition_hash=hash_,
            expire=expire,
            run=run,
            refuse_lost=refuse_lost,
        )
        run["details"] = {
            "newer": newer,
            "to_online": online is not None,
            "to_offline": offline is not None,
            "view_id": view.view_id,
        }
    return newer


def rollback(name: str, to: int | None = None, *, online: OnlineStore, registry: Registry, run_id: str) -> Generation:
    """Make an older generation live, and record the run. See OnlineStore.rollback."""
    with recorded("rollback", name, run_id=run_id, registry=registry, needed=False, details={"to": to}) as run:
        before = online.state(name).live_number
        run["details"] = {"from": before, "to": to}
        now = online.rollback(name, to)
        run.update(_live_fields(name, before, now))
    return now


def unpin(name: str, *, online: OnlineStore, registry: Registry, run_id: str) -> Generation:
    """Make the newest generation live again, and record the run. See OnlineStore.unpin."""
    with recorded("unpin", name, run_id=run_id, registry=registry, needed=False) as run:
        before = online.state(name).live_number
        run["details"] = {"from": before}
        now = online.unpin(name)
        run.update(_live_fields(name, before, now))
    return now


def _live_fields(name: str, before: int, now: Generation) -> dict[str, Any]:
    """The record's fields for the new live generation."""
    return {
        "sequence": now.published_through,
        "schema_hash": now.schema_hash,
        "outputs": (Output(name=name, sequence=now.published_through, generation=now.number),),
        "details": {"from": before, "to": now.number, "clock": now.clock.isoformat()},
    }
