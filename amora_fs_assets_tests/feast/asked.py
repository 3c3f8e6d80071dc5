"""Asks Feast, and the store of an imported project, for the same values."""

from __future__ import annotations

import base64
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from click.testing import CliRunner

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.cli.main import main
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.operations.registry.apply import collect
from amora_fs_assets_tests.pages import environment

ANSWERS = Path(__file__).with_name("answers.py")


def feast(python: str, folder: Path, request: Mapping[str, Any], **variables: str) -> dict[str, Any]:
    """Feast's answers to a request of answers.py."""
    asked, answered = folder / "request.json", folder / "answer.json"
    asked.write_text(json.dumps(request))
    done = subprocess.run(
        [python, "-W", "ignore", str(ANSWERS), str(asked), str(answered)], env={**environment(), **variables},
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(answered.read_text())
    return found


def imported(python: str, place: Path, target: Path, *more: str) -> str:
    """Import a repository or registry, and return what the command printed."""
    done = CliRunner().invoke(main, ["import-feast", str(place), "--output", str(target), "--python", python, *more])
    assert done.exit_code == 0, done.output
    return done.output


def definitions(project: Path) -> Catalogue:
    """The definitions of an imported project."""
    with _importable(project):
        return collect(project.name)


@contextmanager
def store(project: Path, **settings: Any) -> Iterator[FeatureStore]:
    """The store of an imported project, applied."""
    with _importable(project), FeatureStore(Settings(home=project / ".amora_fs", **settings), project.name) as opened:
        opened.apply()
        yield opened


@contextmanager
def _importable(project: Path) -> Iterator[None]:
    sys.path.insert(0, str(project))
    try:
        yield
    finally:
        sys.path.remove(str(project))
        for module in [each for each in sys.modules if each.partition(".")[0] == project.name]:
            del sys.modules[module]


def spine_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows of a request as a frame."""
    frame = pd.DataFrame(rows)
    return frame.assign(event_timestamp=pd.to_datetime(frame["event_timestamp"], utc=True, format="ISO8601"))


def historical(ours: FeatureStore, features: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Our training rows, in the spine's order, as answers.py writes Feast's."""
    table = ours.get_historical_features(features, spine_of(rows), full_feature_names=True).to_arrow()
    return [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]


def online(ours: FeatureStore, features: Any, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Our newest values, by column, as answers.py writes Feast's."""
    found = ours.get_online_features(features, rows, full_feature_names=True).to_dict()
    return {name: [plain(value) for value in values] for name, values in found.items()}


def plain(value: Any) -> Any:
    """A value in JSON, as answers.py writes it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value
