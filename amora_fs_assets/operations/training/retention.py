"""Versions of training sets that are kept, and those that go: the table goes, the manifest stays for good."""

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
"""Versions built since then are left alone: a training may be reading them."""


@dataclass(frozen=True, kw_only=True)
class Pruning:
    """What pruning a training set removes and leaves, oldest first."""

    name: str
    removed: tuple[str, ...]
    kept: Mapping[str, str]
    """By version why it is kept."""
    done: bool
    """Whether the tables are gone; a dry run says what would go."""

    def __str__(self) -> str:
        """A line per version."""
        verb = "removed" if self.done else "would remove"
        lines = [f"{self.name} {version}: {verb}" for version in self.removed]
        lines += [f"{self.name} {version}: kept, {why}" for version, why in self.kept.items()]
        return "\n".join(lines)


def prune(
    name: str, *, keep: int, store: OfflineStore, registry: Registry, run_id: str, now: datetime, dry_run: bool = True
) -> Pruning:
    """Remove the tables of all but the newest `keep` versions, each recorded in the registry.

    Never removed: a version that is held, one that was built less than a day ago, and one whose table this store did
    not make. Manifests stay, so that what a model learned from can still be told. Pruning again ends what was cut
    short. Raises InvalidRequest for less than one version, TrainingSetNotFound where there is none.
    """
    if keep < 1:
        raise InvalidRequest(f"Training set '{name}': keep is {keep}; the newest version stays. Give 1 or more.")
    training_set_version(name, None, None, registry)
    gone = pruned(name, registry)
    there = [version for version in registry.manifests(name) if version not in gone]
    made = {publication.table for publication in store.publications(name)}
    kept, removed = dict[str, str](), []
    for version in there:
        why = _kept(name, version, newest=there[-keep:], made=made, store=store, registry=registry, now=now)
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


def _kept(
    name: str,
    version: str,
    *,
    newest: list[str],
    made: set[str],
    store: OfflineStore,
    registry: Registry,
    now: datetime,
) -> str:
    """Why a version stays; empty where it may go."""
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
    """Keep a version whatever is pruned, such as that of a model in use. Raises TrainingSetNotFound."""
    if not because.strip():
        raise InvalidRequest(f"Training set '{name}': say because of what version '{version}' is held.")
    training_set_version(name, version, None, registry)
    if version in pruned(name, registry):
        raise InvalidRequest(f"Training set '{name}': version '{version}' was removed, and cannot be held.")
    with recorded("hold", name, run_id=run_id, registry=registry) as run:
        run["details"] = {"version": version, "because": because}


def release(name: str, version: str, *, registry: Registry, run_id: str) -> None:
    """Hold a version no longer. Raises InvalidRequest where it is not held."""
    if version not in held(name, registry):
        raise InvalidRequest(f"Training set '{name}': version '{version}' is not held.")
    with recorded("release", name, run_id=run_id, registry=registry) as run:
        run["details"] = {"version": version}


def held(name: str, registry: Registry) -> Mapping[str, str]:
    """The versions that are held, each with the reason."""
    told: dict[str, tuple[datetime, str]] = {}
    for kind in ("hold", "release"):
        for record in registry.records(name, kind=kind, status="succeeded"):
            version, because = record.details["version"], record.details.get("because", "")
            if version not in told or told[version][0] < record.finished_at:
                told[version] = (record.finished_at, because)
    return {version: because for version, (_, because) in told.items() if because}
