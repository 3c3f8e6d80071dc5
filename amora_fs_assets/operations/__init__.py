"""The operations: compute, check, join, materialize, serve."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name == "compute":  # the module's former place, from which scripts import it
        return import_module("amora_fs_assets.operations.offline.compute")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
