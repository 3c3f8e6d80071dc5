"""The test kit for authors of feature views. Only the command `amora-fs test` imports it."""

from amora_fs_assets.testing.at_request import evaluate
from amora_fs_assets.testing.computed import assert_causal, assert_splits, compute
from amora_fs_assets.testing.golden import assert_golden_sql
from amora_fs_assets.testing.same import assert_same_on
from amora_fs_assets.testing.witness import RefusedByGoogleSQL, Witness, WitnessUnavailable

__all__ = [
    "RefusedByGoogleSQL",
    "Witness",
    "WitnessUnavailable",
    "assert_causal",
    "assert_golden_sql",
    "assert_same_on",
    "assert_splits",
    "compute",
    "evaluate",
]
