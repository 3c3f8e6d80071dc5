"""Retention of training sets: pruning drops the tables of old versions, and keeps their manifests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.table_names import version_table
from amora_fs_assets.operations.records.recording import recorded
from amora_fs_assets.operations.training.versions import manifest_of, pruned, training_set_version

YOUNG = timedelta(days=1)
"""Younger versions are not pruned, since a training may be reading them."""


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """The removed and kept versions of a training set, oldest first."""

    name: str
    removed: tuple[str, ...]
    kept: Mapping[str, str]
    """The reason by version."""
    done: bool
    """Whether the tables were dropped; False for a dry run."""

    def __str__(self) -> str:
        """One line per version."""
        verb = "removed" if self.done else "would remove"
        lines = [f"{self.name} {version}: {verb}" for version in self.removed]
        lines += [f"{self.name} {version}: kept, {why}" for version, why in self.kept.items()]
        return "\n".join(lines)


def prune(
    name: str, *, keep: int, store: OfflineStore, registry: Registry, run_id: str, now: datetime, dry_run: bool = True
) -> Pruning:
    """Drop the tables of all but the newest `keep` versions, and record each in the registry.

    Held versions, versions younger than a day, and versions whose table this store did not make are kept. Manifests
    stay, so that the origin of a model's training data stays known. Pruning again completes an interrupted pruning.
    Raises InvalidRequest for `keep` < 1, TrainingSetNotFound for a training set without versions.
    """
    if keep < 1:
        raise InvalidRequest(f"Training set '{name}': keep is {keep}; the newest version stays. Give 1 or more.")
    training_set_version(name, None, None, registry)
    removed_before = pruned(name, registry)
    existing = [version for version in registry.manifests(name) if version not in removed_before]
    made = {publication.table for publication in store.publications(name)}
    kept, removed = dict[str, str](), []
    for version in existing:
        why = _reason_to_keep(
            name, version, newest=existing[-keep:], made=made, store=store, registry=registry, now=now
        )
        if why:
            kept[version] = why
            continue
        removed.append(version)
        if not dry_run:
            table = version_table(name, version, store.dataset)
            with recorded("prune", name, run_id=run_id, registry=registry) as run:
                run["details"] = {"version": version, "table": table, "keep": keep}
                store.discard(table)
    return Pruning(name=name, removed=tuple(removed), kept=kept, done=not dry_run)


def _reason_to_keep(
    name: str,
    version: str,
    *,
    newest: list[str],
    made: set[str],
    store: OfflineStore,
    registry: Registry,
    now: datetime,
) -> str:
    """The reason to keep a version; empty if it may be dropped."""
    table = version_table(name, version, store.dataset)
    if version in newest:
        return f"one of the newest {len(newest)}"
    if f"{now - YOUNG:%Y%m%dT%H%M%S%fZ}" < version.partition("-")[0]:
        return "built less than a day ago"
    if because := held(name, registry).get(version):
        return f"held: {because}"
    if manifest_of(name, version, registry)["table"] != table or table not in made:
        return "its table is not of this store"
    return ""


def hold(name: str, version: str, because: str, *, registry: Registry, run_id: str) -> None:
    """Protect a version from pruning, such as the version of a model in use. Raises TrainingSetNotFound."""
    if not because.strip():
        raise InvalidRequest(f"Training set '{name}': give the reason why version '{version}' is held.")
    training_set_version(name, version, None, registry)
    if version in pruned(name, registry):
        raise InvalidRequest(f"Training set '{name}': version '{version}' was removed, and cannot be held.")
    with recorded("hold", name, run_id=run_id, registry=registry) as run:
        run["details"] = {"version": version, "because": because}


def release(name: str, version: str, *, registry: Registry, run_id: str) -> None:
    """End the protection of a version. Raises InvalidRequest if the version is not held."""
    if version not in held(name, registry):
        raise InvalidRequest(f"Training set '{name}': version '{version}' is not held.")
    with recorded("release", name, run_id=run_id, registry=registry) as run:
        run["details"] = {"version": version}


def held(name: str, registry: Registry) -> Mapping[str, str]:
    """The held versions with their reasons."""
    latest: dict[str, tuple[datetime, str]] = {}
    for kind in ("hold", "release"):
        for record in registry.records(name, kind=kind, status="succeeded"):
            version, because = record.details["version"], record.details.get("because", "")
            if version not in latest or latest[version][0] < record.finished_at:
                latest[version] = (record.finished_at, because)
    return {version: because for version, (_, because) in latest.items() if because}
