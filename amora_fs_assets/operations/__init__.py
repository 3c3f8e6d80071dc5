"""The verbs: compute, check, join, materialize, serve."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    if name == "compute":  # where the module was before operations/offline/: scripts import the module from here
        return import_module("amora_fs_assets.operations.offline.compute")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
