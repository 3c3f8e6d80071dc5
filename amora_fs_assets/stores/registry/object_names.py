"""Rules for object names that are safe as file paths and as object names on Google Cloud Storage."""

from __future__ import annotations

import re

from amora_fs_assets.domain.errors import InvalidRequest

_PART = r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 900  # Google takes 1,024 bytes, the prefix of the registry included


def is_object_name(name: str) -> bool:
    """Whether `name` has letters, digits and `._=+-`, in parts separated by `/` that do not begin with a dot."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def check_object_name(name: str) -> None:
    """Raise InvalidRequest for a name that could leave the registry's folder or that a store does not support."""
    if not is_object_name(name):
        raise InvalidRequest(
            f"{name!r} is not the name of an object. Use letters, digits and ._=+-, in parts separated by '/' that do "
            "not begin with a dot."
        )
