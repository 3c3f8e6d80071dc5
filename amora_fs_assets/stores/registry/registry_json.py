"""The registry's objects in JSON.

Unknown fields are ignored and missing fields have defaults, so that releases read each other's objects. An object that
an older release must not read has a greater `format`.
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
"""Version of the objects' JSON form. A reader refuses a greater version."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`head.json`: the current snapshot."""

    format: int = FORMAT
    snapshot: str
    applied_at: datetime


class _Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """`snapshots/<hash>.json`. The catalogue is decoded only when needed."""

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
    """The SHA-256 of an object's bytes, in hex, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()


def write_head(head: Head) -> bytes:
    """The JSON of the head."""
    return msgspec.json.encode(head)


def read_head(data: bytes) -> Head:
    """Read the head. Raises RegistryCorrupt."""
    return _decode(data, Head)


def write_snapshot(catalogue: Catalogue, *, parent: Snapshot | None, applied_at: datetime) -> bytes:
    """The JSON of a snapshot. It includes parent and time, so that a catalogue can be applied a second time."""
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
    """Read a snapshot without its catalogue. Raises RegistryCorrupt if `name` is not the hash of the bytes."""
    form = _decode(data, _Snapshot)
    if sha256(data) != name:
        raise RegistryCorrupt("it was changed: its content does not match the hash in its name")
    return Snapshot(
        hash=name,
        parent=form.parent,
        applied_at=form.applied_at,
        catalogue_hash=form.catalogue_hash,
        number=form.number,
        ancestors=form.ancestors,
    )


def read_catalogue(data: bytes, name: str) -> Catalogue:
    """Read a snapshot's catalogue. Raises RegistryCorrupt if `name` is not the hash of the bytes."""
    snapshot = read_snapshot(data, name)
    try:
        return replace(Catalogue.from_json(bytes(_decode(data, _Snapshot).catalogue)), number=snapshot.number)
    except RegistryCorrupt as error:
        before = snapshot.parent
        hint = f'. To return to the previous catalogue, set "snapshot" in head.json to "{before}"' if before else ""
        raise RegistryCorrupt(f"{str(error).rstrip('.')}{hint}") from error


def refuse_unreadable(data: bytes, catalogue: Catalogue) -> None:
    """Raise DefinitionError, which names the definition, unless `data` reads back as exactly `catalogue`."""
    try:
        read = read_catalogue(data, sha256(data))
    except RegistryCorrupt as error:
        raise DefinitionError(
            f"Nothing was applied, since the registry could not read a definition back: {error}. Change the definition."
        ) from error
    for kind in KINDS.values():
        written, found = getattr(catalogue, kind), getattr(read, kind)
        for name in sorted(written.keys() | found.keys()):
            if name not in found or name not in written or found[name] != written[name]:
                raise DefinitionError(
                    f"Nothing was applied, since the registry would store '{name}' of its {kind} differently than in "
                    "the code. Use plain texts, numbers, lists and durations as arguments."
                )


def write_record(run: RunRecord) -> bytes:
    """The JSON of a run record: equal records give equal bytes. Raises RegistryCorrupt for an unreadable result."""
    plain = {"format": FORMAT, **msgspec.to_builtins(run, enc_hook=_plain)}
    try:
        data = msgspec.json.encode(plain, order="sorted")
    except UnicodeEncodeError:  # half a surrogate pair, as in Python's form of file names that are not UTF-8
        data = msgspec.json.encode(_printable(plain), order="sorted")
    read_record(data)
    return data


def read_record(data: bytes) -> RunRecord:
    """Read a record. Raises RegistryCorrupt. An unknown kind or status, of a newer release, is kept unchanged."""
    plain = _decode(data, dict[str, Any])
    try:
        try:
            return msgspec.convert(plain, RunRecord)
        except msgspec.ValidationError:
            # msgspec refuses an unknown literal. Other errors are raised again here.
            record = msgspec.convert({**plain, "kind": "compute", "status": "failed"}, RunRecord)
    except msgspec.ValidationError as error:
        raise RegistryCorrupt(f"it is not a run record: {error}") from error
    return replace(record, kind=cast("RunKind", plain.get("kind")), status=cast("RunStatus", plain.get("status")))


def write_manifest(name: str, version: str, manifest: dict[str, Any]) -> bytes:
    """The JSON of a manifest: equal manifests give equal bytes. Raises RegistryCorrupt for an unreadable result."""
    form = _Manifest(name=name, version=version, manifest=manifest)
    data = msgspec.json.encode(form, order="sorted", enc_hook=_plain)
    read_manifest(data)
    return data


def read_manifest(data: bytes) -> dict[str, Any]:
    """Read a manifest. Raises RegistryCorrupt."""
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
    """The JSON value of another library's object: the number of a NumPy scalar, otherwise the object's text."""
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
