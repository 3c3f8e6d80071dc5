"""Files that users name, local or `gs://bucket/object`. A file appears when it is written to its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit
from uuid import uuid4

from amora_fs_assets.domain.errors import InvalidRequest, OfflineStoreError, shown
from amora_fs_assets.settings import Settings

_DEADLINE = 60.0
"""The longest time for sending one part of an object [s]."""


@contextmanager
def writing(path: str | os.PathLike[str], settings: Settings) -> Iterator[IO[bytes]]:
    """A new file, which replaces an existing file when the context ends without an error.

    Raises InvalidRequest for a path that cannot be written, and OfflineStoreError if Cloud Storage refuses.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidRequest(f"path is {shown(path)} ({type(path).__name__}); give a path, or gs://bucket/object.")
    text = os.fspath(path)
    if "://" not in text:
        with _local(_expanded(text)) as file:
            yield file
        return
    parts = urlsplit(text)
    name = parts.path.strip("/")
    if parts.scheme != "gs" or not parts.netloc or not name:
        raise InvalidRequest(f"{text} is neither a local path nor gs://bucket/object.")
    with _object(parts.netloc, name, settings) as file:
        yield file


def _expanded(text: str) -> Path:
    """The path of a file, with `~` expanded."""
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise InvalidRequest(f"{text} cannot be written: {error}") from error
    if not path.name or "\0" in text:
        raise InvalidRequest(f"path is {text!r}, which is no name of a file.")
    return path


@contextmanager
def _local(path: Path) -> Iterator[IO[bytes]]:
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        file = beside.open("xb")
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with file:
            yield file
        try:
            beside.replace(path)
        except OSError as error:
            raise InvalidRequest(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _object(bucket: str, name: str, settings: Settings) -> Iterator[IO[bytes]]:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.fileio import BlobWriter
    from google.resumable_media import InvalidResponse
    from requests.exceptions import RequestException

    from amora_fs_assets.stores.google_clients import storage_client

    blob = storage_client(settings).bucket(bucket).blob(name)
    writer = BlobWriter(blob, ignore_flush=True, timeout=_DEADLINE)
    try:
        yield writer
        writer.close()
    except (GoogleAPIError, GoogleAuthError, InvalidResponse, RequestException) as error:
        writer.terminate()  # an upload that is not completed leaves no object
        raise OfflineStoreError(f"gs://{bucket}/{name} cannot be written: {error}") from error
    except BaseException:
        writer.terminate()
        raise
