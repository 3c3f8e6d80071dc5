"""Versions of training sets: find, verify and compare them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ibis.expr.types import Table

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import InvalidRequest, TrainingSetAltered, TrainingSetNotFound
from amora_fs_assets.domain.ibis_types import IBIS_TYPES
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.domain.time import Instant, utc
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.table_fingerprint import Contents, contents_of
from amora_fs_assets.operations.expressions.tables import unbound

Manifest = Mapping[str, Any]


def training_set_version(name: str, version: str | None, as_of: Instant | None, registry: Registry) -> str:
    """A version's name: the given one, the newest up to `as_of`, or the newest. Raises TrainingSetNotFound."""
    if version is not None and as_of is not None:
        raise InvalidRequest(f"Training set '{name}': give a version or as_of, not both.")
    versions = registry.manifests(name)
    if not versions:
        known = [each for each in registry.catalogue().training_sets if registry.manifests(each)]
        raise TrainingSetNotFound(
            f"Training set '{name}' has no version yet: materialize asset training_set/{name}. "
            f"Built so far: {', '.join(known) or 'none'}."
        )
    if as_of is not None:
        as_of = utc(as_of, "as_of")
        # The name of a version begins with its time, to the microsecond.
        earlier = [each for each in versions if each.partition("-")[0] <= f"{as_of:%Y%m%dT%H%M%S%fZ}"]
        if not earlier:
            raise TrainingSetNotFound(
                f"Training set '{name}' had no version at {as_of.isoformat()}. The first: {versions[0]}."
            )
        return earlier[-1]
    if version is not None and version not in versions:
        raise TrainingSetNotFound(
            f"Training set '{name}' has no version '{version}'. Newest: {', '.join(versions[-5:])}."
        )
    return version or versions[-1]


def manifest_of(name: str, version: str | None, registry: Registry, *, as_of: Instant | None = None) -> Manifest:
    """The manifest of a version, the newest by default. Raises TrainingSetNotFound."""
    found = training_set_version(name, version, as_of, registry)
    manifest = registry.manifest(name, found)
    if manifest is None:
        raise TrainingSetNotFound(f"Training set '{name}': the manifest of version '{found}' is missing.")
    return {"version": found, **manifest}


def pruned(name: str, registry: Registry) -> Mapping[str, RunRecord]:
    """The versions whose rows were removed, with the records of the removals. Their manifests stay."""
    records = registry.records(name, kind="prune", status="succeeded")
    return {record.details["version"]: record for record in records}


def check_not_pruned(name: str, version: str, registry: Registry) -> None:
    """Raise TrainingSetNotFound if the version's rows were removed."""
    if (record := pruned(name, registry).get(version)) is not None:
        raise TrainingSetNotFound(
            f"Training set '{name}': the rows of version '{version}' were removed on "
            f"{record.finished_at:%Y-%m-%d} by run {record.run_id}. `amora-fs training-sets show {name} {version}` "
            "shows its manifest. `amora-fs training-sets hold` protects versions that models need."
        )


def rows_of_version(name: str, manifest: Manifest, store: OfflineStore) -> Table:
    """The rows of a version as a query, after verifying that they are unchanged. Raises TrainingSetAltered."""
    wrong = list(_differences(manifest, store))
    if wrong:
        raise TrainingSetAltered(
            f"Training set '{name}', version {manifest['version']}, has changed: {'; '.join(wrong)}. "
            f"Restore table {manifest['table']}, or build a new version: materialize asset training_set/{name}."
        )
    return unbound(_columns(manifest), manifest["table"])


def _columns(manifest: Manifest) -> list[Column]:
    return [Column(each["name"], DataType(each["type"]), nullable=True) for each in manifest["columns"]]


def _differences(manifest: Manifest, store: OfflineStore) -> Iterator[str]:
    """Differences between the table and its manifest, the most informative first; empty for equal content."""
    table, columns = manifest["table"], _columns(manifest)
    stored = store.columns(table)
    if stored is None:
        yield f"table {table} is missing"
        return
    missing = [column.name for column in columns if column.name not in stored]
    other = [c.name for c in columns if c.name in stored and stored[c.name] != IBIS_TYPES[c.type]]
    more = [name for name in stored if name not in {column.name for column in columns}]
    yield from (f"column '{name}' is missing" for name in missing)
    yield from (f"column '{name}' is {stored[name]} now" for name in other)
    yield from (f"column '{name}' is new" for name in more)
    if missing or other:
        return
    now = contents_of(table, columns, store)
    if (now.rows, now.checksum) == (manifest["rows"], manifest["checksum"]):
        return
    if now.rows != manifest["rows"]:
        yield f"it has {now.rows:,} rows, but was built with {manifest['rows']:,}"
    yield from _other_values(manifest, now)
    yield f"its checksum is {now.checksum}, but was {manifest['checksum']}"


def _other_values(manifest: Manifest, now: Contents) -> Iterator[str]:
    for column in manifest["columns"]:
        was, now_statistics = column["statistics"], now.statistics[column["name"]]
        for statistic, value in was.items():
            if not _same(value, now_statistics[statistic]):
                yield f"column '{column['name']}': {statistic} is {now_statistics[statistic]}, but was {value}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):  # the order of summation varies
        return math.isclose(one, other, rel_tol=1e-9)
    return bool(one == other)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The differences between two versions of a training set."""

    name: str
    versions: tuple[str, str]
    rows: tuple[int, int]
    checksums: tuple[str, str]
    definitions: tuple[str, ...]  # added, changed or removed definitions
    columns: tuple[str, ...]  # columns that were added or removed, or have other types or statistics
    inputs: tuple[str, ...]  # inputs with other publications

    @property
    def same(self) -> bool:
        """Whether the rows are the same, in any order."""
        return self.rows[0] == self.rows[1] and self.checksums[0] == self.checksums[1]

    def __str__(self) -> str:
        """One line per difference."""
        lines = [
            f"Training set '{self.name}': {self.versions[0]} -> {self.versions[1]}",
            "The same rows." if self.same else f"rows: {self.rows[0]:,} -> {self.rows[1]:,}",
            *([] if self.same else [f"checksum: {self.checksums[0]} -> {self.checksums[1]}"]),
        ]
        for word in ("definitions", "inputs", "columns"):
            lines += [f"{word}:", *(f"  {line}" for line in getattr(self, word))] if getattr(self, word) else []
        return "\n".join(lines)


def compare(name: str, first: str, second: str, registry: Registry) -> Comparison:
    """Compare two versions by their manifests. Raises TrainingSetNotFound."""
    one, other = manifest_of(name, first, registry), manifest_of(name, second, registry)
    return Comparison(
        name=name,
        versions=(one["version"], other["version"]),
        rows=(one["rows"], other["rows"]),
        checksums=(one["checksum"], other["checksum"]),
        definitions=tuple(_other_definitions(one["definitions"], other["definitions"])),
        columns=tuple(_other_columns(one, other)),
        inputs=tuple(_other_inputs(one, other)),
    )


def _other_definitions(one: Manifest, other: Manifest) -> Iterator[str]:
    for kind in one:
        if kind == "format":
            continue
        before, after = ({each["name"]: each for each in manifest[kind]} for manifest in (one, other))
        for name in sorted({*before, *after}):
            sign = "+" if name not in before else "-" if name not in after else "~"
            if before.get(name) != after.get(name):
                yield f"{sign} {kind.replace('_', ' ').replace('ies', 'y').removesuffix('s')} '{name}'"


def _other_columns(one: Manifest, other: Manifest) -> Iterator[str]:
    before, after = ({each["name"]: each for each in manifest["columns"]} for manifest in (one, other))
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            yield f"{'+' if name in after else '-'} {name}"
        elif before[name]["type"] != after[name]["type"]:
            yield f"~ {name}: {before[name]['type']} -> {after[name]['type']}"
        else:
            was, now = before[name]["statistics"], after[name]["statistics"]
            changes = [f"{each} {was[each]} -> {now[each]}" for each in was if not _same(was[each], now[each])]
            if changes:
                yield f"~ {name}: {', '.join(changes)}"


def _other_inputs(one: Manifest, other: Manifest) -> Iterator[str]:
    before, after = ({each["name"]: each for each in manifest["inputs"]} for manifest in (one, other))
    for name in dict.fromkeys((*before, *after)):
        was, now = (inputs.get(name, {}).get("sequence") for inputs in (before, after))
        if was != now or (name in before) != (name in after):
            yield f"{name}: publication {was} -> {now}"
