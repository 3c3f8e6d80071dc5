"""The witness in the environment of `make witness`."""

from __future__ import annotations

from pathlib import Path

from amora_fs_assets.testing.witness import Witness, WitnessUnavailable

PYTHON = Path(__file__).parents[2] / ".venv-witness" / "bin" / "python"


def running_witness() -> Witness:
    """It ends as the context is left. Raises WitnessUnavailable."""
    if not PYTHON.exists():
        raise WitnessUnavailable("There is no .venv-witness: make witness.")
    return Witness(PYTHON)
