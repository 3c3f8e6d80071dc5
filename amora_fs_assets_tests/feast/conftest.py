<<<<<<< HEAD
"""Feast's own environment."""
=======
"""The interpreter that has Feast, for all tests of this folder."""
>>>>>>> 7f14b6c (Import Feast's repositories and registries as projects; refuse Amora's settings with their new names)

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
