"""Names of objects: one form that is safe as a file's path and as an object's name on Google Cloud Storage."""

from __future__ import annotations

import re

from amora_fs_assets.domain.errors import InvalidRequest

_PART = r"[A-Za-z0-9_][A-Za-z0-9._=+-]{0,199}"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_LONGEST = 900  # Google takes 1,024 bytes, the prefix of the registry included


def is_object_name(name: str) -> bool:
    """Whether `name` is letters, digits and `._=+-` in parts that `/` divides and that begin with no dot."""
    return len(name) <= _LONGEST and _NAME.fullmatch(name) is not None


def check_object_name(name: str) -> None:
    """Refuse, with InvalidRequest, a name that could leave the registry or that some store would not take."""
    if not is_object_name(name):
        raise InvalidRequest(
            f"{name!r} is not the name of an object. It takes letters, digits and ._=+- in parts divided by '/', "
            "none of which begins with a dot."
        )
