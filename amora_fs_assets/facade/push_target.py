"""Where a push writes: online, offline, or both."""

from __future__ import annotations

from typing import Any, Literal, get_args

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.errors import InvalidRequest

PushTo = Literal["online", "offline", "online_and_offline"]
"""The target of a push. Feast's PushMode is also accepted."""


def targets(to: Any, to_offline: Any) -> tuple[bool, bool]:
    """Whether a push writes online, and whether it writes offline; both by default.

    `to` is a PushTo or a member of Feast's PushMode; `to_offline=False` is the same as `to="online"`. Raises
    InvalidRequest for another value, and for both arguments.
    """
    if to is None:
        return True, to_offline is None or callers.flag("to_offline", to_offline)
    if to_offline is not None:
        raise InvalidRequest("push: give either to or to_offline.")
    # A member of Feast's enum is known by its name, since Feast is not imported.
    name = to if isinstance(to, str) else getattr(to, "name", None)
    word = name.lower() if isinstance(name, str) else ""
    if word not in get_args(PushTo):
        raise callers.refused("to", to, "'online', 'offline' or 'online_and_offline'")
    return word != "offline", word != "online"
