"""The scores of docs/example-model.md are those that its code has, and the audit says what the page says."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from amora_fs_assets_tests.conftest import missing

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_page_has_the_scores_of_its_code_and_the_message_of_the_audit(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if importlib.util.find_spec("sklearn") is None or importlib.util.find_spec("matplotlib") is None:
        missing(request.config, "There is no scikit-learn or matplotlib: make venv.")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("AMORA_FS_", "DAGSTER", "NYC"))}
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.example_model"],
        cwd=ROOT, env={**plain, "OMP_NUM_THREADS": "1", "PICTURES": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    page = (ROOT / "docs" / "example-model.md").read_text()
    table = [float(score) for score in re.findall(r"^\|.*\| (0\.\d{3}) \|$", page, re.MULTILINE)]
    honest, leaking, served = (float(score) for score in re.findall(r"^0\.\d{3}$", ran.stdout, re.MULTILINE))
    assert [honest, leaking, served] == pytest.approx(table, abs=0.015)
    assert served < honest - 0.03
    assert leaking > honest + 0.03
    (said,) = re.findall(r"^route_day: looks ahead: .*?Example", page, re.MULTILINE)
    assert said in ran.stdout
    assert "the value uses this row of source 'flights'" in ran.stdout
    assert (tmp_path / "example-model.png").stat().st_size > 10_000
