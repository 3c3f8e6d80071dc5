"""Modules that are imported when an attribute is first used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class Lazy:
    """Stands for a module; for modules that take long to import and are not always needed.

    At type-checking time import the module itself.
    """

    def __init__(self, name: str) -> None:
        """Import nothing yet."""
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Import the module, and give its attribute."""
        return getattr(import_module(self._name), attribute)
