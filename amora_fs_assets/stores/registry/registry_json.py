"""The registry's objects in JSON.

Unknown fields are ignored and missing ones have defaults, so that releases read each other's objects. What an older
release must not read has a greater `format`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import msgspec

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.changes import KINDS
from amora_fs_assets.domain.errors import DefinitionError, RegistryCorrupt
from amora_fs_assets.domain.records import Ancestor, RunKind, RunRecord, RunStatus, Snapshot

FORMAT = 1
"""Version of the objects' JSON form; a reader refuses a greater one."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`head.json`: which snapshot counts."""

    format: int = FORMAT
    snapshot: str
    applied_at: datetime


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`snapshots/<hash>.json`. The catalogue stays text until somebody asks for it."""

    format: int = FORMAT
    parent: str | None
    applied_at: datetime
    number: int = 1
    ancestors: tuple[Ancestor, ...] = ()
    catalogue_hash: str
    catalogue: msgspec.Raw


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`training_sets/<name>/<version>.json`."""

    format: int = FORMAT
    name: str
    version: str
    manifest: dict[str, Any]


class _Format(msgspec.Struct):
    format: int


_Form = TypeVar("_Form")


def sha256(data: bytes) -> str:
    """The hash that names an object after its bytes, in hex: what `sha256sum` says of the file."""
    return hashlib.sha256(data).hexdigest()


def write_head(head: Head) -> bytes:
    """The head's JSON."""
    return msgspec.json.encode(head)


def read_head(data: bytes) -> Head:
    """The head again. Raises RegistryCorrupt."""
    return _decode(data, Head)


def write_snapshot(catalogue: Catalogue, *, parent: Snapshot | None, applied_at: datetime) -> bytes:
    """A snapshot's JSON. Its hash differs by parent and time, so that a catalogue can be applied a second time."""
    return msgspec.json.encode(
        _Snapshot(
            parent=parent.hash if parent else None,
            applied_at=(max(applied_at, parent.applied_at) if parent else applied_at).astimezone(UTC),
            number=parent.number + 1 if parent else 1,
            ancestors=parent.ancestors_of_next if parent else (),
            catalogue_hash=catalogue.hash,
            catalogue=msgspec.Raw(catalogue.to_json().encode()),
        )
    )


def read_snapshot(data: bytes, name: str) -> Snapshot:
    """The snapshot without its catalogue. Raises RegistryCorrupt where `name` was not made of these bytes."""
    form = _decode(data, _Snapshot)
    if sha256(data) != name:
        raise RegistryCorrupt("it was altered: its content does not match the hash in its name")
    return Snapshot(
        hash=name,
        parent=form.parent,
        applied_at=form.applied_at,
        catalogue_hash=form.catalogue_hash,
        number=form.number,
        ancestors=form.ancestors,
    )


def read_catalogue(data: bytes, name: str) -> Catalogue:
    """The snapshot's catalogue. Raises RegistryCorrupt where `name` was not made of these bytes."""
    snapshot = read_snapshot(data, name)
    try:
        return replace(Catalogue.from_json(bytes(_decode(data, _Snapshot).catalogue)), number=snapshot.number)
    except RegistryCorrupt as error:
        before = snapshot.parent
        hint = f'. To go back to the catalogue before, set "snapshot" in head.json to "{before}"' if before else ""
        raise RegistryCorrupt(f"{str(error).rstrip('.')}{hint}") from error


def refuse_unreadable(data: bytes, catalogue: Catalogue) -> None:
    """Raise DefinitionError, which names the definition, unless the snapshot `data` holds exactly `catalogue`."""
    try:
        read = read_catalogue(data, sha256(data))
    except RegistryCorrupt as error:
        raise DefinitionError(
            f"Nothing was applied, since the registry could not be read again: {error}. Change that definition."
        ) from error
    for kind in KINDS.values():
        written, found = getattr(catalogue, kind), getattr(read, kind)
        for name in sorted(written.keys() | found.keys()):
            if name not in found or name not in written or found[name] != written[name]:
                raise DefinitionError(
                    f"Nothing was applied, since the registry would not keep '{name}' of its {kind} as the code has "
                    "it. Write its arguments as the documentation has them: plain texts, numbers, lists and durations."
                )


def write_record(run: RunRecord) -> bytes:
    """A run record's JSON: the same record, the same bytes. Raises RegistryCorrupt where nobody could read it again."""
    plain = {"format": FORMAT, **msgspec.to_builtins(run, enc_hook=_plain)}
    try:
        data = msgspec.json.encode(plain, order="sorted")
    except UnicodeEncodeError:  # half a surrogate pair, as Python has it for file names that are not UTF-8
        data = msgspec.json.encode(_printable(plain), order="sorted")
    read_record(data)
    return data


def read_record(data: bytes) -> RunRecord:
    """The record again. Raises RegistryCorrupt. A kind or status of a newer release is kept as it stands."""
    plain = _decode(data, dict[str, Any])
    try:
        try:
            return msgspec.convert(plain, RunRecord)
        except msgspec.ValidationError:
            # It refuses a literal that it does not know; what else is wrong is refused again.
            record = msgspec.convert({**plain, "kind": "compute", "status": "failed"}, RunRecord)
    except msgspec.ValidationError as error:
        raise RegistryCorrupt(f"it is not a run record: {error}") from error
    return replace(record, kind=cast("RunKind", plain.get("kind")), status=cast("RunStatus", plain.get("status")))


def write_manifest(name: str, version: str, manifest: dict[str, Any]) -> bytes:
    """A manifest's JSON: the same manifest, the same bytes. Raises RegistryCorrupt where nobody could read it again."""
    form = _Manifest(name=name, version=version, manifest=manifest)
    data = msgspec.json.encode(form, order="sorted", enc_hook=_plain)
    read_manifest(data)
    return data


def read_manifest(data: bytes) -> dict[str, Any]:
    """The manifest again. Raises RegistryCorrupt."""
    return _decode(data, _Manifest).manifest


def _decode(data: bytes, form: type[_Form]) -> _Form:
    try:
        if (version := msgspec.json.decode(data, type=_Format).format) > FORMAT:
            raise RegistryCorrupt(
                f"it has format {version}; this release reads up to {FORMAT}. Upgrade amora_fs_assets"
            )
        return msgspec.json.decode(data, type=form)
    except msgspec.DecodeError as error:
        raise RegistryCorrupt(f"it is not in its JSON form: {error}") from error


def _plain(value: object) -> Any:
    """What JSON has for a value of another library: a NumPy scalar's number, otherwise its text."""
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


def _printable(value: Any) -> Any:
    match value:
        case str():
            return value.encode(errors="backslashreplace").decode()
        case dict():
            return {_printable(key): _printable(each) for key, each in value.items()}
        case list() | tuple():
            return [_printable(each) for each in value]
        case _:
            return value
