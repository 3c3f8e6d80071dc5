"""The faults that the soak must find can still be put back, and its model is independent."""

from __future__ import annotations

import subprocess
import sys

import pytest

from amora_fs_assets_tests.soak.mutants import MUTANTS, ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_fault_has_its_place_in_the_package(mutant: Mutant) -> None:
    text = (ROOT / "amora_fs_assets" / mutant.file).read_text()
    assert text.count(mutant.right) == 1, "the file has changed: mend the mutant"


def test_the_model_knows_nothing_of_the_product() -> None:
    code = "import sys, amora_fs_assets_tests.soak.model; print('amora_fs_assets' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
