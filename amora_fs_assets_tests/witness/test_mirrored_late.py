"""Late rows are read by BigQuery's SQL as by DuckDB, and as plain Python has them: their own tests, asked of both."""

from __future__ import annotations

from amora_fs_assets_tests.operations.offline.test_late_oracle import embedded as embedded
from amora_fs_assets_tests.operations.offline.test_late_oracle import (
    test_rows_later_than_the_bound_are_not_lost_either as test_rows_later_than_the_bound_are_not_lost_either,
)
from amora_fs_assets_tests.witness.mirror import mirrored as mirrored
