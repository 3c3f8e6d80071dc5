"""Feast's own environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from amora_fs_assets_tests.conftest import missing

ENVIRONMENT = Path(__file__).parents[2] / ".venv-feast"


@pytest.fixture(scope="session")
def feast_python(request: pytest.FixtureRequest) -> str:
    """An interpreter that has Feast."""
    if not (ENVIRONMENT / ".stamp").exists():
        missing(request.config, "There is no Feast client: make feast.")
    return str(ENVIRONMENT / "bin" / "python")
