"""A BigQuery on this machine: REST for queries and loads, gRPC for the Storage Read API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError, running

ENVIRONMENT = Path(__file__).parents[2] / ".venv-bigquery-emulator"
_RECORDING = Path(__file__).with_name("recording.py")


@dataclass(frozen=True)
class BigQueryEmulator:
    """Where it listens, and real Google clients for it."""

    host: str
    """REST, as `BIGQUERY_EMULATOR_HOST` takes it: `http://127.0.0.1:<port>`."""
    grpc_address: str
    """Storage Read API: `127.0.0.1:<port>`."""
    project: str = "amora-fs-tests"
    sent: Path = Path("sent.jsonl")
    """What it was sent: see `recording.py`."""
    data: Path = Path("data")
    """The folder with a file for each project."""

    def client(self) -> bigquery.Client:
        """A client for queries, loads and DDL. Close it, or use it as a context manager."""
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.host},
        )

    def datasets(self) -> set[tuple[str, str]]:
        """The project and name of each dataset."""
        found = set()
        for project in (path.stem for path in self.data.glob("*.ducklake")):
            with replace(self, project=project).client() as client:
                found |= {(project, each.dataset_id) for each in client.list_datasets(timeout=60)}
        return found

    def delete(self, datasets: Iterable[tuple[str, str]]) -> None:
        """Delete datasets with their tables."""
        with self.client() as client:
            for project, dataset in datasets:
                client.delete_dataset(f"{project}.{dataset}", delete_contents=True, not_found_ok=True, timeout=60)

    def read_client(self) -> BigQueryReadClient:
        """A client for the Storage Read API, to give to `to_arrow` and `to_dataframe`.

        Without it these reach for the real endpoint, and hang.
        """
        channel = grpc.insecure_channel(self.grpc_address, options=[("grpc.max_receive_message_length", -1)])
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


@contextlib.contextmanager
def bigquery_emulator(folder: Path, *, deadline: float = 60.0) -> Iterator[BigQueryEmulator]:
    """Run an emulator with its data and log in `folder`. Raises EmulatorUnavailableError."""
    if not (ENVIRONMENT / ".stamp").exists():
        raise EmulatorUnavailableError(
            "There is no BigQuery emulator: apt-get install python3.13-venv (Python 3.13), then make emulators."
        )
    sent, data = folder / "sent.jsonl", folder / "data"
    with running(
        # If no host were said it would listen on every interface.
        lambda ports: [
            ENVIRONMENT / "bin" / "python", _RECORDING,
            "--host", "127.0.0.1", "--port", str(ports[0]), "--grpc-port", str(ports[1]), "--data-dir", data,
        ],
        ports=2,
        health_path="/",
        log=folder / "bigquery.log",
        # DuckDB's extensions stand in this HOME; with another it would try to download them.
        environment={"HOME": str(ENVIRONMENT / "home"), "SENT": str(sent)},
        deadline=deadline,
    ) as (rest, read):  # fmt: skip
        yield BigQueryEmulator(f"http://127.0.0.1:{rest}", f"127.0.0.1:{read}", sent=sent, data=data)
