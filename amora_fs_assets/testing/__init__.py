"""A test kit for those who write feature views. Nothing of it is imported by what runs in production."""

from amora_fs_assets.testing.same import assert_same_on
from amora_fs_assets.testing.witness import RefusedByGoogleSQL, Witness, WitnessUnavailable

__all__ = ["RefusedByGoogleSQL", "Witness", "WitnessUnavailable", "assert_same_on"]
