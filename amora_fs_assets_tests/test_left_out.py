"""What a run of the tests says of parts that the machine lacks."""

from __future__ import annotations

from amora_fs_assets_tests.conftest import MISSING, left_out

REDIS, CHROMIUM = "There is no redis-server: apt-get install redis-server.", "There is no Chromium: make it."


def test_each_missing_part_is_named_once_in_one_line_with_its_command() -> None:
    skips = [f"Skipped: {MISSING}{reason}" for reason in (REDIS, CHROMIUM, REDIS)]
    assert left_out(skips) == f"3 tests were left out. {CHROMIUM} {REDIS}"


def test_a_test_that_is_skipped_for_another_reason_is_not_left_out() -> None:
    assert left_out(["Skipped: Feast is installed here"]) == ""
