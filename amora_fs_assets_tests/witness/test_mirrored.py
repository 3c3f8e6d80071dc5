"""Parity, corrections and coverage read by BigQuery's SQL what they read of DuckDB: their own tests, asked of both."""

from __future__ import annotations

from amora_fs_assets_tests.operations.conftest import embedded as embedded
from amora_fs_assets_tests.operations.conftest import offline as offline
from amora_fs_assets_tests.operations.conftest import online as online
from amora_fs_assets_tests.operations.offline.test_corrections import local as local
from amora_fs_assets_tests.operations.offline.test_corrections import (
    test_rows_beyond_max_lateness_that_come_after_their_interval_was_computed_are_found as test_beyond_max_lateness,
)
from amora_fs_assets_tests.operations.offline.test_corrections import (
    test_rows_that_were_not_there_yet_when_they_were_read_are_no_correction as test_no_correction,
)
from amora_fs_assets_tests.operations.online.test_parity import TestParity as TestParity
from amora_fs_assets_tests.operations.online.test_parity import loaded as loaded
from amora_fs_assets_tests.witness.mirror import mirrored as mirrored

__all__ = ["test_beyond_max_lateness", "test_no_correction"]
