"""The functions of definitions: transforms of feature views, spines of training sets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import DefinitionError

if TYPE_CHECKING:
    from ibis.expr.types import Table

    from amora_fs_assets.domain.feature_view import FeatureView
    from amora_fs_assets.domain.source import Source

Transform = Callable[..., "Table"]


def checked_function(owner: str, transform: Transform) -> Transform:
    """The transform, if its code can be told from another's. Raises DefinitionError."""
    if not inspect.isroutine(transform):
        raise DefinitionError(
            f"{owner}: its transform is a {type(transform).__name__}, whose code cannot be told from "
            "another's. Give a function: `def` or `lambda`."
        )
    return transform


def check_parameters(
    owner: str, function: Callable[..., Any], sources: Sequence[Source | FeatureView], extra: str | None = None
) -> None:
    """Refuse a function whose parameters are not its sources, and `extra` where it wants it."""
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise DefinitionError(f"{owner}: two of its sources have one name: {names}.")
    parameters = [name for name in inspect.signature(function).parameters if name != extra]
    unknown = [name for name in parameters if name not in names]
    unused = [name for name in names if name not in parameters]
    if unknown:
        raise DefinitionError(
            f"{owner}: parameter '{unknown[0]}' names none of its sources: {names}. "
            "Name each parameter after its source, or add it to sources=[...]."
        )
    if unused:
        raise DefinitionError(
            f"{owner}: no parameter takes source '{unused[0]}'. Add the parameter or drop the source."
        )
