"""Modules that are imported at the first use of an attribute."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """A placeholder for a module that takes long to import and is not always needed.

    For type checkers, import the module itself.
    """

    def __init__(self, name: str) -> None:
        """Import nothing yet."""
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module and return its attribute."""
        return getattr(import_module(self._name), attribute)
