"""A code location under automation, whose clock is a file that a test writes: for real daemons."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from amora_fs_assets import Settings
from amora_fs_assets.orchestration.code_location import Alert, Automation, build_definitions
from amora_fs_assets_tests.orchestration.automated import shop

HOME = "AUTOMATED_HOME"


class Moved(Settings):
    """Settings whose clock is what the file `clock` of the home says."""

    def clock(self) -> datetime:
        return datetime.fromisoformat((self.home / "clock").read_text())


def settings(home: Path) -> Settings:
    return Moved(home=home, lock_timeout=20.0)


def note(alert: Alert) -> None:
    """Keep the alert for the test."""
    with (Path(os.environ[HOME]) / "alerts").open("a") as file:
        file.write(f"{alert.title}\n")


if HOME in os.environ:  # in the daemon's code server, and in its runs
    defs = build_definitions(
        settings(Path(os.environ[HOME])),
        definitions=shop(),
        automation=Automation(looks=timedelta(seconds=1), notify=note),
        overrides={"executor": dg.in_process_executor},
    )
