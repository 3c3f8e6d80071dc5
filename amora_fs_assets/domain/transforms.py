"""The functions of definitions: transforms of feature views, spines of training sets."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import DefinitionError

if TYPE_CHECKING:
    from ibis.expr.types import Table

    from amora_fs_assets.domain.feature_view import FeatureView
    from amora_fs_assets.domain.source import Source

Transform = Callable[..., "Table"]

INTERVAL_PARAMETER = "interval"
"""The parameter of a transform that receives the computed interval."""


def checked_function(owner: str, argument: str, given: object) -> Transform:
    """The function, if it is a plain Python function, whose code can be hashed. Raises DefinitionError."""
    if not inspect.isfunction(given) and not inspect.ismethod(given):
        raise DefinitionError(
            f"{owner}: its {argument} is a {type(given).__name__}, whose code cannot be hashed. "
            "Give a function: `def` or `lambda`."
        )
    if inspect.iscoroutinefunction(given) or inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
        raise DefinitionError(f"{owner}: a call of its {argument} does not return a table. Use a plain `def`.")
    return given


def name_of(given: object, kind: str) -> str:
    """The name of a decorated function. Raises DefinitionError for another object."""
    name = getattr(given, "__name__", None)
    if name is None:
        raise DefinitionError(f"{kind} of a {type(given).__name__}: decorate a function, or give name=.")
    return str(name)


def check_parameters(
    owner: str, function: Callable[..., Any], sources: Sequence[Source | FeatureView], extra: str | None = None
) -> None:
    """Refuse a function whose parameters are not exactly its sources; the parameter `extra` is optional."""
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise DefinitionError(f"{owner}: two of its sources have the same name: {names}. Drop or rename one.")
        if name == extra or keyword.iskeyword(name):
            raise DefinitionError(f"{owner}: a parameter for source '{name}' cannot have this name. Rename the source.")
    parameters = [each for each in inspect.signature(function).parameters.values() if each.name != extra]
    for parameter in parameters:
        if parameter.name not in names:
            raise DefinitionError(
                f"{owner}: parameter '{parameter.name}' names none of its sources: {names}. "
                "Name each parameter after its source, or add it to sources=[...]."
            )
        if parameter.kind not in {parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY}:
            raise DefinitionError(
                f"{owner}: parameter '{parameter.name}' cannot be passed by name. Write it without '/' and '*'."
            )
    taken = {parameter.name for parameter in parameters}
    for name in names:
        if name not in taken:
            raise DefinitionError(f"{owner}: no parameter takes source '{name}'. Add the parameter or drop the source.")
