"""Google's metadata server, as far as a client asks it for credentials: real clients, no real keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default/"
ANSWERS = {
    "/": "",
    "/computeMetadata/v1/project/project-id": "test",
    ACCOUNT: json.dumps({"email": "default", "scopes": [], "aliases": ["default"]}),
    f"{ACCOUNT}token": json.dumps({"access_token": "test", "expires_in": 3600, "token_type": "Bearer"}),
}


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = ANSWERS.get(self.path.partition("?")[0])
        self.send_response(404 if answer is None else 200)
        self.send_header("Metadata-Flavor", "Google")
        self.send_header("Content-Type", "application/json" if answer and answer[0] == "{" else "application/text")
        self.end_headers()
        self.wfile.write((answer or "").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def metadata_server() -> Iterator[str]:
    """Run one; its address, as GCE_METADATA_HOST takes it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
