"""Automation: what is requested under a clock that moves, and that what is online is then what the definitions say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests import small
from amora_fs_assets_tests.orchestration.automated import Shop, after_midnight, shop, view

MINUTE = timedelta(minutes=1)


def test_a_day_that_was_computed_just_after_midnight_is_completed(tmp_path: Path) -> None:
    shop_ = Shop(tmp_path, Catalogue.of([view()]), after_midnight(1, seconds=5))
    shop_.sell((1, small.at(31), 1.0), (2, after_midnight(1, seconds=1), 2.0))
    shop_.go_on()
    shop_.check_online()
    shop_.sell((1, small.at(1, hour=20, month=2), 10.0), (3, small.at(2, month=2), 20.0))
    shop_.at(after_midnight(2))
    (request,) = shop_.look()
    assert request.tags["dagster/asset_partition_range_start"] == "2020-02-01"
    assert request.tags["dagster/asset_partition_range_end"] == "2020-02-02"
    assert shop_.run(request).success
    shop_.check_online()
    assert shop_.look() == []
    assert shop_.said == "Everything is up to date."
    shop_.at(after_midnight(2, seconds=60))
    assert shop_.look() == []


@pytest.mark.slow
def test_three_midnights_end_the_day_that_is_over_and_begin_the_next(tmp_path: Path) -> None:
    shop_ = Shop(tmp_path, shop(), after_midnight(1))
    shop_.sell((1, small.at(31), 1.0))
    shop_.go_on()
    shop_.check_online()
    for day in (2, 3, 4):
        midnight = small.at(day, month=2)
        shop_.at(midnight - 10 * MINUTE)
        shop_.sell((1, midnight - 15 * MINUTE, day * 10.0), (2, midnight - 11 * MINUTE, day * 10.0))
        shop_.go_on()
        shop_.check_online()
        shop_.sell((1, midnight - MINUTE, day * 10.0 + 1), (3, midnight, day * 10.0 + 2))
        shop_.at(midnight + timedelta(seconds=5))
        assert shop_.go_on() <= 3
        shop_.check_online()
        for found in shop_.store().coverage().values():
            assert found.complete
