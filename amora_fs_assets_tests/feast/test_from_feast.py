"""docs/from-feast.md, command by command and call by call: Feast's own template moves in."""

from __future__ import annotations

from pathlib import Path

import pytest

from amora_fs_assets_tests.pages import environment, script, shell


@pytest.mark.slow
def test_every_command_and_call_of_the_page_works(feast_python: str, tmp_path: Path) -> None:
    commands = script(
        "from-feast.md",
        {
            "$ feast init": f"$ {Path(feast_python).with_name('feast')} init",
            "--python .venv-feast/bin/python": f"--python {feast_python}",
        },
    )
    commands += "\npython -c 'import drivers.definitions'  # Dagster's code location"
    said = shell(f"trap 'amora-fs stop > stop.txt' EXIT\n{commands}", tmp_path, environment())
    for line in (
        "on-demand feature view `transformed_conv_rate`",
        "label view `driver_quality_labels`",
        "driver_hourly_stats_fresh",
    ):
        assert line in said
