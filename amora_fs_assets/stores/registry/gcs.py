"""Objects on Google Cloud Storage, written under `if_generation_match`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, PreconditionFailed, Unauthorized
from google.auth.exceptions import GoogleAuthError
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.exceptions import RequestException

from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.domain.ports.registry import StoredObject
from amora_fs_assets.stores.registry.object_names import check_object_name, is_object_name

if TYPE_CHECKING:
    from google.cloud.storage import Blob, Client

_WRITE_ID = "amora-fs-write"


class GcsObjectStore:
    """The `ObjectStore` of a team. Every call has a deadline and safe retries.

    Reads can be repeated, and writes are conditional. Each write has its own id, so that a refused retry can tell
    whether its first try had succeeded. A bucket accepts about one update of an object per second; further updates are
    retried with growing pauses until the deadline.
    """

    def __init__(self, client: Client, bucket: str, prefix: str, *, deadline: float = 60.0) -> None:
        """Store objects in `gs://bucket/prefix`. `deadline` limits a call with its retries [s]."""
        self._client = client
        self._bucket = client.bucket(bucket)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._url = f"gs://{bucket}/{self._prefix}".rstrip("/")
        self._calls: dict[str, Any] = {
            "timeout": min(deadline, 20.0),
            "retry": DEFAULT_RETRY.with_timeout(deadline).with_delay(initial=0.5, maximum=8.0),
        }

    @property
    def url(self) -> str:
        """`gs://bucket/prefix`."""
        return self._url

    def read(self, name: str) -> StoredObject | None:
        """The object; None if it does not exist. Raises RegistryError."""
        check_object_name(name)
        with self._explained("read"):
            for _ in range(10):
                blob = self._blob(name)
                try:
                    data = blob.download_as_bytes(**self._calls)
                except NotFound:
                    # A missing bucket also gives NotFound, but listing it raises. So does an object that was replaced
                    # between two tries of one download: it is listed, and read again.
                    if name not in self._list(name):
                        return None
                else:
                    return StoredObject(data, str(blob.generation))
        raise RegistryError(f"Registry {self._url}: '{name}' is listed but cannot be read. Run it again.")

    def create(self, name: str, data: bytes) -> bool:
        """Write a new object. False if an object of the name exists. Raises RegistryError."""
        return self.replace(name, data, generation=None)

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        """Write an object if its generation is still `generation` (None: it does not exist). Raises RegistryError."""
        check_object_name(name)
        blob = self._blob(name)
        write_id = uuid4().hex
        blob.metadata = {_WRITE_ID: write_id}
        blob.cache_control = "no-store"  # caches would serve objects of a public bucket for an hour
        with self._explained("write"):
            try:
                blob.upload_from_string(
                    data,
                    content_type="application/json",
                    if_generation_match=int(generation or 0),
                    **self._calls,
                )
            except PreconditionFailed:
                found = self._bucket.get_blob(blob.name, **self._calls)
                return found is not None and (found.metadata or {}).get(_WRITE_ID) == write_id
        return True

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with `prefix`, sorted, fetched a page at a time. Raises RegistryError."""
        above, _, _ = prefix.rpartition("/")
        if above:
            check_object_name(above)
        with self._explained("list"):
            yield from self._list(prefix)

    def _list(self, prefix: str) -> Iterator[str]:
        blobs = self._client.list_blobs(
            self._bucket, prefix=self._prefix + prefix, fields="items(name),nextPageToken", **self._calls
        )
        for blob in blobs:
            name = blob.name.removeprefix(self._prefix)
            if is_object_name(name):
                yield name

    def _blob(self, name: str) -> Blob:
        return self._bucket.blob(self._prefix + name)

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        try:
            yield
        except (Forbidden, Unauthorized) as error:
            raise RegistryError(
                f"Registry {self._url}: no permission to {verb} (HTTP {error.code}). "
                "Grant the account the role Storage Object User on the bucket; "
                "for reading only, Storage Object Viewer is enough."
            ) from error
        except NotFound as error:
            raise RegistryError(
                f"Registry {self._url}: there is no bucket '{self._bucket.name}'. "
                f"Create it with `gcloud storage buckets create gs://{self._bucket.name}`, "
                "or correct AMORA_FS_REGISTRY."
            ) from error
        except GoogleAuthError as error:
            raise RegistryError(
                f"Registry {self._url}: no valid Google credentials ({type(error).__name__}). "
                "Run `gcloud auth application-default login`, or give the machine a service account."
            ) from error
        except (GoogleAPIError, DataCorruption, RequestException, ConnectionError, TimeoutError) as error:
            raise RegistryError(
                f"Registry {self._url}: Google Cloud Storage cannot be reached to {verb} ({type(error).__name__}). "
                "Check the network and STORAGE_EMULATOR_HOST, and run it again: every write is safe to repeat."
            ) from error
