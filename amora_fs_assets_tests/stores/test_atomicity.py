"""Readers see one publication or the next, and nothing between."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator
from amora_fs_assets_tests.small import at
from amora_fs_assets_tests.stores.offline_store_contract import COLUMNS, OfflineStoreContract, rows

pytestmark = pytest.mark.slow
REPUBLICATIONS = {"home": 100, "host": 15}
"""In a file, and on the emulator, which takes seconds for each."""
ROWS = 1_000  # of the first publication; each has one more than the one before
READER = """
import json, sys, time
from amora_fs_assets_tests.stores.test_atomicity import seen, store_of
store = store_of(json.loads(sys.argv[1]))
while True:
    print(json.dumps(seen(store)), flush=True)
    time.sleep(float(sys.argv[2]))  # leaves the server and the file to the writer
"""
_numbers = itertools.count()


def store_of(where: dict[str, str]) -> OfflineStore:
    """The store, in whatever process."""
    if "home" in where:
        return DuckDBOfflineStore(Path(where["home"]), dataset=where["dataset"])
    emulator = BigQueryEmulator(where["host"], where["grpc_address"])
    return BigQueryOfflineStore(emulator.client(), dataset=where["dataset"], storage_client=emulator.read_client())


def seen(store: OfflineStore) -> tuple[int, list[float], list[int]]:
    """In one query: how many rows, their amounts, and the newest sequence of `_publications`."""
    log = unbound([Column("sequence", DataType.INT64)], f"{store.dataset}._publications")
    table = unbound(COLUMNS, f"{store.dataset}.spending")
    with store.read(table.cross_join(log.aggregate(newest=log.sequence.max())).select("amount", "newest")) as batches:
        found: pa.Table = batches.read_all()
    return found.num_rows, *(sorted(set(found[name].to_pylist())) for name in ("amount", "newest"))


@pytest.fixture(params=["duckdb", pytest.param("bigquery", marks=pytest.mark.google)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    dataset = f"atomic_{next(_numbers)}"
    if request.param == "duckdb":
        return {"home": str(tmp_path), "dataset": dataset}
    emulator: BigQueryEmulator = request.getfixturevalue("bigquery_emulator")
    return {"host": emulator.host, "grpc_address": emulator.grpc_address, "dataset": dataset}


def test_a_reader_sees_only_whole_publications_while_an_interval_is_published_again_and_again(
    where: dict[str, str],
) -> None:
    store, contract = store_of(where), OfflineStoreContract()
    republications = next(number for kind, number in REPUBLICATIONS.items() if kind in where)

    def publish(number: int) -> None:
        those = [(customer, at(1), float(number)) for customer in range(ROWS + number)]
        assert contract.publish(store, rows(*those), run_id=str(number)).sequence == number

    publish(1)
    states: list[Any] = []
    command = [sys.executable, "-c", READER, json.dumps(where), "0.05" if "home" in where else "0.4"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        listening = threading.Thread(target=_collect, args=(reader.stdout.readline, states))
        listening.start()
        try:
            while not states:
                assert reader.poll() is None
            for number in range(2, republications + 1):
                publish(number)
        finally:
            reader.kill()
            listening.join()
    assert [state for state in states if state != [ROWS + state[2][0], [float(state[2][0])], state[2]]] == []
    sequences = [state[2][0] for state in states]
    assert sequences == sorted(sequences)
    assert len(set(sequences)) > republications / 10  # it was at it all the time


def _collect(line: Callable[[], bytes], states: list[Any]) -> None:
    while said := line():
        states.append(json.loads(said))
