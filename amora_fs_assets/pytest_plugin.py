"""A pytest plugin: `pytest --amora-features shop_features` tests each view of a package for the contract of views.

The plugin is loaded by its entry point. Without the option it imports nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("amora_fs_assets")
    group.addoption(
        "--amora-features",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="Test the feature views of this package: they do not look ahead, the parts of an interval add up, ...",
    )
    group.addoption(
        "--amora-examples",
        type=int,
        default=10,
        metavar="N",
        help="Number of generated sets of source rows per view (default: 10).",
    )
    group.addoption(
        "--amora-update-golden",
        action="store_true",
        help="Write the files of assert_golden_sql instead of comparing them.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect the contract's tests beside the user's."""
    if config.getoption("--amora-features"):
        config.args.append(str(Path(__file__).parent / "testing" / "contract.py"))
    if config.getoption("--amora-update-golden"):
        from amora_fs_assets.testing import golden

        golden.updating = True
