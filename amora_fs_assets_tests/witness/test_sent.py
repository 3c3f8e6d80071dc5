"""What is sent to the emulator, in any test, is analyzed at the end of the session: that this finds what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from amora_fs_assets.testing import RefusedByGoogleSQL, Witness
from amora_fs_assets_tests.conftest import missing
from amora_fs_assets_tests.emulators.bigquery import bigquery_emulator
from amora_fs_assets_tests.emulators.process import EmulatorUnavailableError
from amora_fs_assets_tests.emulators.sent import NOT_ANALYZED, faults


@pytest.mark.parametrize("kind", NOT_ANALYZED)
def test_a_kind_of_statement_is_listed_only_as_long_as_it_cannot_be_analyzed(kind: str, witness: Witness) -> None:
    assert kind in NOT_ANALYZED[kind]
    with pytest.raises(RefusedByGoogleSQL):
        witness.analyze_types(NOT_ANALYZED[kind], {}, {"name": "STRING"})


def test_what_the_emulator_takes_and_bigquery_would_not_is_found(
    request: pytest.FixtureRequest, witness: Witness, tmp_path: Path
) -> None:
    """An emulator of this test's own, since what it is sent would be found at the session's end."""
    try:
        with bigquery_emulator(tmp_path) as emulator, emulator.client() as client:
            client.create_dataset("d", timeout=60)
            for sql in (
                "CREATE TABLE `d`.`t` (x INT64, y STRING)",
                "INSERT INTO `d`.`t` (x, y) VALUES (1, 'a')",
                "SELECT * FROM `d.t` WHERE x > 7",
                "SELECT * FROM `d.t` WHERE x > 8",  # of the same shape
                "SELECT epoch_us(CURRENT_TIMESTAMP()) AS e",  # a function of DuckDB's
                "CREATE TABLE `d`.`u` (at TIMESTAMP)",  # a reserved word
            ):
                client.query_and_wait(sql, wait_timeout=60)
            found = faults(emulator.sent, witness)
    except EmulatorUnavailableError as reason:
        missing(request.config, str(reason))
    sent = [json.loads(line) for line in emulator.sent.read_text().splitlines()]
    assert len(sent) == 5
    assert sent[2]["tables"] == {"d.t": {"x": "INT64", "y": "STRING"}}
    assert ["epoch_us" in found[0], "AT" in found[1]] == [True, True]
    assert len(found) == 2
