"""Rolling windows have the same values by BigQuery's SQL as by DuckDB and by plain Python: their own test, on both."""

from __future__ import annotations

from amora_fs_assets_tests.domain.windows.test_rolling_oracle import embedded as embedded
from amora_fs_assets_tests.domain.windows.test_rolling_oracle import (
    test_the_edges_of_windows_are_exact_to_the_microsecond as test_the_edges_of_windows_are_exact_to_the_microsecond,
)
from amora_fs_assets_tests.domain.windows.test_spine import store as store
from amora_fs_assets_tests.domain.windows.test_types import (
    test_each_aggregate_takes_a_type_or_refuses_it as test_each_aggregate_takes_a_type_or_refuses_it,
)
from amora_fs_assets_tests.witness.mirror import mirrored as mirrored
