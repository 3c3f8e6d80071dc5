"""Windowed features in schemas: one field that stands for a column per window."""

from __future__ import annotations

import re
from copy import copy
from typing import Any, Generic, TypeVar, get_args, get_origin

from amora_fs_assets.domain.errors import DefinitionError, shown
from amora_fs_assets.domain.windows.durations import Windows

T = TypeVar("T")
WINDOWS = "_windows"
"""The attribute of a schema with its windows. Pandera takes public attributes for columns."""
_WRITTEN = re.compile(r"\s*(?:\w+\.)*Windowed\[(.*)\]\s*", re.DOTALL)


class Windowed(Generic[T]):
    """The annotation of a feature that has a column per window of the schema.

    `spend: Windowed[float] = Field(ge=0, description="Amount paid in the last {window} [EUR].")` in a schema with
    `windows=Windows("1h", "24h")` is two columns, `spend_1h` and `spend_24h`, with the same checks. `{window}` in the
    description becomes `1 hour` and `24 hours`.
    """


def expand(schema: type, windows: Windows | None) -> None:
    """Replace each Windowed annotation of a schema's class by one annotation per window. Raises DefinitionError."""
    owner = f"Schema {schema.__name__}"
    if windows is not None:
        if not isinstance(windows, Windows):
            raise DefinitionError(f"{owner}: windows={shown(windows)}. Give Windows('1h', '24h', at='1h').")
        setattr(schema, WINDOWS, windows)
    known = getattr(schema, WINDOWS, None)
    annotations: dict[str, Any] = {}
    for name, annotation in vars(schema).get("__annotations__", {}).items():
        inner = _inner(annotation)
        if inner is None:
            annotations[name] = annotation
            continue
        if not isinstance(known, Windows):
            raise DefinitionError(
                f"{owner}: column '{name}' is Windowed, but the schema has no windows. Write "
                f"`class {schema.__name__}(FeatureSchema, windows=Windows('1h', '24h'))`."
            )
        field = vars(schema).get(name)
        if field is not None:
            delattr(schema, name)
        for window in known.windows:
            column = f"{name}_{window.name}"
            annotations[column] = inner
            if field is not None:
                own = copy(field)
                if own.alias is not None:
                    raise DefinitionError(f"{owner}: column '{name}' is Windowed, so it takes no alias=. Drop alias.")
                own.original_name = column
                own.description = (field.description or "").replace("{window}", str(window)) or None
                setattr(schema, column, own)
    if "__annotations__" in vars(schema):
        schema.__annotations__ = annotations


def _inner(annotation: Any) -> Any:
    """The type inside Windowed[...]; None for another annotation."""
    if isinstance(annotation, str):
        read = _WRITTEN.fullmatch(annotation)
        return read[1] if read else None
    return get_args(annotation)[0] if get_origin(annotation) is Windowed else None
