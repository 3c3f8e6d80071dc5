"""Join keys in JSON, where an integer and its canonical decimal text stand for each other."""

from __future__ import annotations

import re
from typing import Any

from amora_fs_assets.domain.types import DataType

_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}")


class JsonEntities(dict[str, list[Any]]):
    """The entities of an HTTP request by join key: the reader converts these keys by `json_key`."""


def json_key(type_: DataType, value: Any) -> Any:
    """The value for a join key of `type_`: an integer for its text, a text for its integer.

    Only the canonical text of an integer is converted: "5", but not "05", "5.0", "+5" or "5_0". A number with a point
    or an exponent is no integer. Raises TypeError for values that JSON clients must not send for this type.
    """
    kind = type(value)
    if type_ is DataType.STRING and kind is int:
        return str(value)
    if type_ is DataType.INT64 and kind is str and _WHOLE.fullmatch(value):
        return int(value)
    if type_ is DataType.INT64 and kind in {float, str}:
        raise TypeError
    return value
