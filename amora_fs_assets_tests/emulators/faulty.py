"""A network that fails: what stands between a client and an emulator, and refuses or cuts what it is told to."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Refusal:
    """An answer of BigQuery's own instead of the emulator's."""

    status: int
    reason: str
    message: str = ""

    @property
    def body(self) -> bytes:
        said = {"reason": self.reason, "message": self.message or f"Refused: {self.reason}"}
        return json.dumps({"error": {"code": self.status, "message": said["message"], "errors": [said]}}).encode()


class Cut:
    """The connection is closed without an answer; where `done`, after the server did what was asked."""

    def __init__(self, *, done: bool) -> None:
        self.done = done


Fault = Refusal | Cut | None
Choose = Callable[[str, str], Fault]
"""What befalls a request, by its method and path."""


@contextlib.contextmanager
def faulty_http(host: str, choose: Choose) -> Iterator[str]:
    """The url of a server that passes on to `host` (`http://127.0.0.1:<port>`) what `choose` lets through."""
    target = host.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = choose(self.command, self.path)
            if isinstance(fault, Refusal):
                self.answer(fault.status, {"Content-Type": "application/json"}, fault.body)
                return
            if fault is None or fault.done:
                upstream = http.client.HTTPConnection(target, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
                upstream.request(self.command, self.path, sent or None, headers)
                response = upstream.getresponse()
                body = response.read()
                upstream.close()
                if fault is None:
                    self.answer(response.status, dict(response.getheaders()), body)
                    return
            self.close_connection = True
            _reset(self.connection)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815  (the library's names)

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value.replace(target, self.headers["Host"]))
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class FaultyTcp:
    """A port that passes bytes on to `address`, and cuts connections once enough have come back."""

    def __init__(self, address: str, *, cuts: int, after: int, then_gone: bool = False) -> None:
        self._target, self._cuts, self._after, self._then_gone = address.split(":"), cuts, after, then_gone
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._target[0], int(self._target[1])))
                threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
                allowed = self._after if self.cut < self._cuts else None
                threading.Thread(target=self._pass, args=(server, client, allowed), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, allowed: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if allowed is not None and (allowed := allowed - len(data)) < 0:
                    self.cut += 1
                    if self._then_gone:
                        self.close()
                    break
                sink.sendall(data)
        for each in (source, sink):
            _reset(each)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
