"""Online features: our SDK and server against a raw MGET and Feast 0.67, on one Valkey, in one run.

    python -m benchmarks.online [--seconds 4]

Feast lives in an environment of its own, `.venv-feast-benchmark`, which is made when it is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import redis

from amora_fs_assets import FeatureStore
from amora_fs_assets.stores.redis.row_codec import encode_part
from benchmarks.measure import median, report, table
from benchmarks.online_data import NOW, VIEWS, batch, feature_store, server, used_memory, views

ROOT = Path(__file__).parent.parent
FEAST = ROOT / ".venv-feast-benchmark"
ENTITIES = 10_000
SIZES = (1, 10, 100, 1_000)
READING = "import " + ", ".join(
    f"amora_fs_assets.{each}"
    for each in ("feature_store", "operations.online", "operations.served", "stores.redis", "stores.registry")
)
Times = dict[int, list[float]]


def feast_python() -> str:
    """Of Feast's environment, made when it is missing."""
    python = FEAST / "bin" / "python"
    if not python.exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", str(FEAST), "--python", sys.executable], check=True)
        subprocess.run([*uv, "pip", "install", "-q", "--python", str(python), "feast[redis]==0.67.0"], check=True)
    return str(python)


def feast(folder: Path, url: str, *task: str) -> Any:
    """What Feast's side measured."""
    command = [
        feast_python(),
        str(Path(__file__).with_name("feast_online.py")),
        str(folder),
        url.removeprefix("redis://"),
    ]
    done = subprocess.run([*command, *task], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2_000:])
    return json.loads(done.stdout.splitlines()[-1])


def drivers(size: int) -> list[int]:
    """Which entities a request asks for: the same on every side."""
    return [number * 7 % ENTITIES for number in range(size)]


def ours_and_raw(store: FeatureStore, seconds: float) -> tuple[Times, Times]:
    """Seconds of our SDK with dict and statuses, and of a raw MGET of the same keys by the same client, alternating."""
    client: redis.Redis = store.online._connection._connected()  # type: ignore[attr-defined]
    ours: Times = {}
    raw: Times = {}
    for size in SIZES:
        asked = {"driver": drivers(size)}
        prefixes = [store.online.state(view.name).generations[-1].location.encode() for view in views()]
        keys = [prefix + encode_part(driver) for prefix in prefixes for driver in asked["driver"]]
        ours[size], raw[size] = [], []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            client.mget(keys)
            middle = time.perf_counter()
            response = store.get_online_features("all", asked)
            response.to_dict()
            assert response.statuses
            raw[size].append(middle - began)
            ours[size].append(time.perf_counter() - middle)
    return ours, raw


def over_http(port: int, path: str, seconds: float, sizes: tuple[int, ...], body: Callable[[int], Any]) -> Times:
    """Seconds of one request after the other over one kept connection.

    On a bare socket: what Python's HTTP clients do takes as long as the server, and is not what is compared.
    """
    times: Times = {}
    for size in sizes:
        data = json.dumps(body(size)).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
        times[size] = []
        until = time.perf_counter() + seconds
        kept = False
        while time.perf_counter() < until:
            if not kept:  # Feast's server hangs up every now and then
                connection = socket.create_connection(("127.0.0.1", port), timeout=60)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            began = time.perf_counter()
            try:
                connection.sendall(request)
                answer = answered(connection)
            except ConnectionError:
                kept = False
                continue
            times[size].append(time.perf_counter() - began)
            assert answer.split(b" ", 2)[1] == b"200", answer
            kept = b"connection: close" not in answer.lower()
    return times


def answered(connection: socket.socket) -> bytes:
    """Take one answer, whole; its status and headers."""
    said = b""
    while b"\r\n\r\n" not in said:
        if not (some := connection.recv(2**20)):
            raise ConnectionError("the server hung up")
        said += some
    head, _, begun = said.partition(b"\r\n\r\n")
    missing = int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]) - len(begun)  # type: ignore[index]
    while missing > 0:
        missing -= len(connection.recv(2**20))
    return head


@contextmanager
def process(command: list[str], port: int, *, cwd: Path, **environment: str) -> Iterator[psutil.Process]:
    """A server, until the block ends."""
    running = subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(600):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                connection.request("GET", "/health")
                connection.getresponse().read()
                break
            except OSError:
                time.sleep(0.1)
        yield psutil.Process(running.pid)
    finally:
        os.killpg(running.pid, signal.SIGTERM)
        running.wait()


def memory(root: psutil.Process) -> float:
    """Of a process and its children [MiB]."""
    return sum(each.memory_info().rss for each in (root, *root.children(recursive=True))) / 2**20


def cpu(root: psutil.Process) -> float:
    """Seconds that a process and its children have worked."""
    each = [p.cpu_times() for p in (root, *root.children(recursive=True))]
    return sum(t.user + t.system for t in each)


def throughput(port: int, served: psutil.Process, seconds: int) -> str:
    """What a native load generator gets out of the server, one entity a request."""
    if shutil.which("wrk") is None:
        return "`wrk` is not installed: no load was generated."
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        body = json.dumps({"feature_service": "all", "entities": {"driver": [5]}})
        script.write(f"wrk.method='POST'\nwrk.body='{body}'\n")
        script.flush()
        before = cpu(served)
        command = ["wrk", "-t1", "-c32", f"-d{seconds}s", "--latency", "-s", script.name]
        said = subprocess.check_output([*command, f"http://127.0.0.1:{port}/get-online-features"], text=True)
    used = cpu(served) - before
    requests = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    worst = re.search(r"99%\s+(\S+)", said)[1]  # type: ignore[index]
    errors = re.search(r"(Non-2xx.*|Socket errors.*)", said)
    return (
        f"{rate:,.0f} requests/s of one entity over {seconds} s (2 workers, 32 connections, `wrk` beside them), "
        f"p99 {worst}, {errors[0] if errors else 'no error'}; {requests / used:,.0f} requests per second of server CPU."
    )


def imported(code: str) -> float:
    """Seconds that a new process takes for these imports, the median of nine."""
    timed = f"import time; began = time.perf_counter(); {code}; print(time.perf_counter() - began)"
    return median([float(subprocess.check_output([sys.executable, "-c", timed])) for _ in range(9)])


def p95(times: list[float]) -> float:
    """The 95th percentile."""
    return sorted(times)[int(len(times) * 0.95)]


def shown(seconds: float) -> str:
    """In milliseconds."""
    return f"{seconds * 1000:.3f}"


def sdk_table(ours: Times, raw: Times, theirs: Times) -> str:
    """Latencies and their ratios."""
    header = ["entities", "raw MGET p50 / p95 [ms]", "ours p50 / p95 [ms]", "Feast p50 / p95 [ms]", "ours : raw",
              "Feast : ours"]  # fmt: skip
    rows = [
        [
            f"{size:,}",
            *(f"{shown(median(each[size]))} / {shown(p95(each[size]))}" for each in (raw, ours, theirs)),
            f"{median(ours[size]) / median(raw[size]):.2f}",
            f"{median(theirs[size]) / median(ours[size]):.1f}",
        ]
        for size in SIZES
    ]
    return table(header, rows)


def http_table(ours: Times, theirs: Times) -> str:
    """The servers' latencies and their ratio."""
    header = ["entities", "ours p50 / p95 [ms]", "Feast p50 / p95 [ms]", "Feast : ours"]
    rows = [
        [
            f"{size:,}",
            *(f"{shown(median(each[size]))} / {shown(p95(each[size]))}" for each in (ours, theirs)),
            f"{median(theirs[size]) / median(ours[size]):.1f}",
        ]
        for size in ours
    ]
    return table(header, rows)


def main() -> None:
    """Print and keep the tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    arguments.add_argument(
        "--load", type=int, default=15, help="seconds of load on the HTTP server (five minutes: 300)"
    )
    asked = arguments.parse_args()
    seconds = asked.seconds
    with server() as url, tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        store = feature_store(url, folder)
        for number in range(VIEWS):
            pq.write_table(pa.Table.from_batches([batch(number, 0, ENTITIES)]), folder / f"view_{number}.parquet")
        empty = used_memory(url)
        for number, view in enumerate(views()):
            store.online.load(view, [batch(number, 0, ENTITIES)], published_through=1, clock=NOW, new_generation=True)
        our_bytes = (used_memory(url) - empty) / ENTITIES
        before = used_memory(url)
        for number, view in enumerate(views()):
            store.online.load(view, [batch(number, 0, ENTITIES)], published_through=1, clock=NOW, new_generation=True)
        both_bytes = (used_memory(url) - before) / ENTITIES + our_bytes
        before = used_memory(url)
        feast(folder, url, "write")
        their_bytes = (used_memory(url) - before) / ENTITIES
        ours, raw = ours_and_raw(store, seconds)
        theirs = {
            int(size): times for size, times in feast(folder, url, "read", str(seconds), *map(str, SIZES)).items()
        }
        ports = (28_666, 28_667)
        environment = {"AMORA_FS_HOME": home, "AMORA_FS_ONLINE_STORE_URL": url}
        serve = [str(Path(sys.executable).with_name("amora-fs")), "serve", "--port", str(ports[0])]
        path, sizes = "/get-online-features", (1, 100)
        with process(serve, ports[0], cwd=folder, **environment) as served:
            our_server = memory(served)
            our_http = over_http(
                ports[0], path, seconds, sizes, lambda n: {"feature_service": "all", "entities": {"driver": drivers(n)}}
            )
        with process([*serve, "--workers", "2"], ports[0], cwd=folder, **environment) as served:
            time.sleep(1)
            rate = throughput(ports[0], served, asked.load)
        features = [f"{view.name}:{feature.name}" for view in views() for feature in view.features]
        their_serve = [str(FEAST / "bin" / "feast"), "serve", "-h", "127.0.0.1", "-p", str(ports[1]), "--no-access-log"]
        with process(their_serve, ports[1], cwd=folder) as served:
            their_server = memory(served)
            their_http = over_http(
                ports[1], path, seconds, sizes, lambda n: {"features": features, "entities": {"driver": drivers(n)}}
            )
        asyncio.run(store.close_async())
    report(
        "online",
        "Online features: 30 features in 3 views",
        "make bench-online",
        f"One Valkey on loopback, {ENTITIES:,} entities; 7 floats, 2 integers and a short text in each view.",
        "SDK, with values and statuses as a dict:",
        sdk_table(ours, raw, theirs),
        "HTTP, one request after the other on a kept connection, by a bare socket:",
        http_table(our_http, their_http),
        rate,
        f"Importing the reading path takes {imported(READING) - imported('import redis'):.2f} s more than redis-py, "
        f"which takes {imported('import redis'):.2f} s.",
        f"Memory of the server at rest: ours {our_server:.0f} MiB, Feast's {their_server:.0f} MiB.",
        f"Redis memory per entity: {our_bytes:.0f} bytes in one generation, {both_bytes:.0f} with the one before it "
        f"kept for a rollback; Feast {their_bytes:.0f} bytes.",
    )


if __name__ == "__main__":
    main()
