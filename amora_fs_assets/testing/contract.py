"""The contract of feature views, as tests. `pytest --amora-features PACKAGE` collects this file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from amora_fs_assets.operations.registry.apply import collect
from amora_fs_assets.testing.checks import Check, checks_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test per check of each computed view of the packages."""
    checks = list(_checks(metafunc.config))
    metafunc.parametrize("check", checks, ids=[f"{check.view.name}: {check.name}" for check in checks])


def _checks(config: pytest.Config) -> Iterator[Check]:
    for package in config.getoption("--amora-features"):
        for view in collect(package).in_order:
            if view.table is None:
                yield from checks_of(view, examples=config.getoption("--amora-examples"))


def test_view(check: Check) -> None:
    """The view keeps its contract."""
    nothing = broken = ""
    try:
        nothing = check.run()
    except AssertionError as error:
        broken = str(error)
    if broken:  # not within `except`, where pytest would show the text twice
        pytest.fail(broken, pytrace=False)
    if nothing:
        pytest.skip(nothing)
