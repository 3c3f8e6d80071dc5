"""Objects in a local folder."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import pytest

from amora_fs_assets.domain.errors import RegistryError
from amora_fs_assets.stores.registry.folder import FolderObjectStore
from amora_fs_assets_tests.stores.at_once import at_once, killed_at
from amora_fs_assets_tests.stores.object_store_contract import ObjectStoreContract, OpenStore


class TestFolderObjectStore(ObjectStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> OpenStore:
        return lambda: FolderObjectStore(tmp_path / "not" / "there" / "yet")


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_reading_makes_no_folder(tmp_path: Path) -> None:
    FolderObjectStore(tmp_path / "registry").read("head.json")
    assert list(FolderObjectStore(tmp_path / "registry").names("")) == []
    assert not (tmp_path / "registry").exists()


def test_an_object_is_a_file_of_its_name_readable_by_whom_the_umask_lets(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        FolderObjectStore(tmp_path).create("a/b.json", b"{}")
    finally:
        os.umask(umask)
    assert (tmp_path / "a" / "b.json").read_bytes() == b"{}"
    assert (tmp_path / "a" / "b.json").stat().st_mode & 0o777 == 0o644
    assert files(tmp_path) == {"a/b.json", ".lock"}


def test_a_writer_killed_at_any_line_leaves_the_old_bytes_or_the_new_and_no_lock(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path, lock_timeout=5)
    store.create("head", b"old")
    line = 1
    while True:
        stored = store.read("head")
        assert stored is not None

        def replace(generation: str = stored.generation) -> None:
            store.replace("head", b"new", generation=generation)

        killed = killed_at(line, replace, ["stores/registry/folder.py"])
        after = store.read("head")
        assert after is not None and after.data in {b"old", b"new"}
        for left in (tmp_path / ".tmp").iterdir():  # or each try would have one more of them to look at
            left.unlink()
        assert store.replace("head", b"old", generation=after.generation)
        if not killed:
            break
        line += 1
    assert line > 30


def test_what_killed_writers_left_is_swept_an_hour_later(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path)
    store.create("a", b"")
    for name, age in (("dead", 7200), ("at work", 60)):
        (tmp_path / ".tmp" / name).touch()
        os.utime(tmp_path / ".tmp" / name, times=(time.time() - age,) * 2)
    store.create("b", b"")
    assert files(tmp_path) == {"a", "b", ".lock", ".tmp/at work"}


def test_a_lock_that_somebody_keeps_is_reported_and_nothing_written(tmp_path: Path) -> None:
    store = FolderObjectStore(tmp_path, lock_timeout=0.05)
    store.create("a", b"")
    with (tmp_path / ".lock").open() as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(RegistryError, match=r"another process held .*for 0\.05 s"):
            store.create("b", b"")
    assert store.read("b") is None
    assert store.create("b", b"")


def test_a_registry_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = FolderObjectStore(tmp_path / "file")
    for work in (lambda: store.read("a"), lambda: store.create("a", b""), lambda: store.names("")):
        with pytest.raises(RegistryError, match="AMORA_FS_REGISTRY must be a folder"):
            work()


def test_a_folder_without_permission_is_reported(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)

    def create(_: int) -> str:
        if os.geteuid() == 0:
            os.setuid(65534)  # root may write everywhere, nobody may not
        with pytest.raises(RegistryError) as caught:
            FolderObjectStore(tmp_path).create("a", b"")
        return str(caught.value)

    (said,) = at_once(create, 1)
    assert "no permission to write 'a'. Give this user access" in said


def test_a_refusal_of_the_system_is_reported_with_the_folder_and_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("amora_fs_assets.stores.registry.folder._write", refuse)
    with pytest.raises(RegistryError, match="no permission to write 'a'. Give this user access") as caught:
        FolderObjectStore(tmp_path).create("a", b"")
    assert str(tmp_path) in str(caught.value)
