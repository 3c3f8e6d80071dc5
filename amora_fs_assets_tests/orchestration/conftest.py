"""What the orchestration's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from amora_fs_assets_tests.orchestration.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The small definitions, applied; nothing has run yet."""
    made = Project(tmp_path)
    yield made
    made.close()
