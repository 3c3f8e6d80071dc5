"""Objects as files in a local folder, written atomically: a killed process leaves no partial object."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.domain.ports.registry import StoredObject
from amora_fs_assets.stores.registry.object_names import check_object_name, is_object_name

_TEMPORARY = ".tmp"
_LOCK = ".lock"
_ABANDONED = 3600.0  # the age at which a temporary file belongs to a dead process, since no write takes so long [s]


class FolderObjectStore:
    """The `ObjectStore` of one machine. Readers take no lock; writers hold a lock during a rename.

    The lock is an flock, which the kernel releases when its process dies.
    """

    def __init__(self, folder: Path, *, lock_timeout: float = 30.0) -> None:
        """Write below `folder`, which the first write creates. `lock_timeout` in seconds."""
        self._folder = Path(folder).expanduser().absolute()
        self._lock_timeout = lock_timeout

    @property
    def url(self) -> str:
        """The folder's path."""
        return str(self._folder)

    def read(self, name: str) -> StoredObject | None:
        """The object; None if it does not exist. Raises RegistryError if the file cannot be read."""
        path = self._path(name)
        with self._explained("read", name):
            try:
                # Files are only renamed into place, so the content and the time of an open file belong together.
                with path.open("rb", buffering=0) as file:
                    data, modified = file.readall(), os.fstat(file.fileno()).st_mtime_ns
            except FileNotFoundError:
                return None
        return StoredObject(data, f"{modified}-{hashlib.sha256(data).hexdigest()[:16]}")

    def create(self, name: str, data: bytes) -> bool:
        """Write a new object. False if an object of the name exists. Raises RegistryError."""
        return self.replace(name, data, generation=None)

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        """Write an object if its generation is still `generation` (None: it does not exist). Raises RegistryError.

        Returns True once the bytes and the name are on the disk.
        """
        path = self._path(name)
        with self._explained("write", name):
            self._make_folder(path.parent)
            self._make_folder(self._folder / _TEMPORARY)
            written = self._folder / _TEMPORARY / uuid4().hex
            try:
                _write(written, data)
                with self._locked():
                    found = self.read(name)
                    if (found.generation if found else None) != generation:
                        return False
                    if found:
                        _touch_after(written, path)
                    written.replace(path)
            finally:
                written.unlink(missing_ok=True)
            _sync_folder(path.parent)
        return True

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with `prefix`, sorted. Raises RegistryError if a folder cannot be read."""
        above, _, _ = prefix.rpartition("/")
        if above:
            check_object_name(above)
        with self._explained("list", prefix):
            found = sorted(name for name in self._below(self._folder / above) if name.startswith(prefix))
        return iter(found)

    def _below(self, folder: Path) -> Iterator[str]:
        def refuse(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError):
                raise error

        root = str(self._folder)
        for parent, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = [each for each in folders if not each.startswith(".")]
            inside = "" if parent == root else f"{parent.removeprefix(root + os.sep).replace(os.sep, '/')}/"
            # Strings rather than paths, since there are tens of thousands.
            for name in (f"{inside}{each}" for each in files):
                if is_object_name(name):
                    yield name

    def _path(self, name: str) -> Path:
        check_object_name(name)
        return self._folder / name

    def _make_folder(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            self._wait_for(descriptor)
            self._sweep()
            yield
        finally:
            os.close(descriptor)

    def _wait_for(self, descriptor: int) -> None:
        deadline, pause = time.monotonic() + self._lock_timeout, 0.0005
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise RegistryError(
                        f"Registry {self.url}: another process held {_LOCK} for {self._lock_timeout:g} s. "
                        f"Find it with `fuser {self._folder / _LOCK}` and stop it. Nothing was written."
                    ) from None
                time.sleep(pause)
                pause = min(2 * pause, 0.02)
            else:
                return

    def _sweep(self) -> None:
        """Remove temporary files of killed writers."""
        oldest = time.time() - _ABANDONED
        for path in (self._folder / _TEMPORARY).iterdir():
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    @contextmanager
    def _explained(self, verb: str, name: str) -> Iterator[None]:
        try:
            yield
        except PermissionError as error:
            raise RegistryError(
                f"Registry {self.url}: no permission to {verb} '{name}'. "
                "Give this user access to the folder, or set AMORA_FS_REGISTRY to another folder."
            ) from error
        except OSError as error:
            fix = {
                errno.ENOSPC: "Free some space.",
                errno.EROFS: "The file system is read-only: run this where it is writable.",
            }.get(error.errno or 0, "AMORA_FS_REGISTRY must be a folder for this registry alone.")
            raise RegistryError(f"Registry {self.url}: cannot {verb} '{name}': {error.strerror}. {fix}") from error


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _touch_after(written: Path, replaced: Path) -> None:
    """Make the time later than the replaced file's. Times are part of the generation, so equal contents differ."""
    after = max(time.time_ns(), replaced.stat().st_mtime_ns + 1)
    os.utime(written, ns=(after, after))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
