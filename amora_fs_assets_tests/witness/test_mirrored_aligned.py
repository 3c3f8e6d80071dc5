"""Aligned views have the same rows by BigQuery's SQL as by DuckDB and by plain Python: their own test, on both."""

from __future__ import annotations

from amora_fs_assets_tests.domain.test_aligned import embedded as embedded
from amora_fs_assets_tests.domain.test_aligned import (
    test_the_edges_of_aligned_views_are_exact as test_the_edges_of_aligned_views_are_exact,
)
from amora_fs_assets_tests.witness.mirror import mirrored as mirrored
