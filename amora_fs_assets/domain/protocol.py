"""The identities and decisions of the protocol in docs/protocol.md. Stores use these functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from amora_fs_assets.domain.errors import DefinitionNotApplied, PublicationRefused
from amora_fs_assets.domain.types import DataType

TRIES = 3
"""The number of tries of a computation that is refused because of other computations of its interval."""
_NO_VIEW = "none"
"""The text for an empty `view_id` in an incarnation. A real `view_id` is hex digits."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A row of `<dataset>._applied`: the definition of a view that may publish."""

    view: str
    view_id: str
    identity: str  # empty: the view was pruned, and no definition may publish
    applied_number: int  # the number of the snapshot


APPLIED_COLUMNS = {
    "view": DataType.STRING,
    "view_id": DataType.STRING,
    "identity": DataType.STRING,
    "applied_number": DataType.INT64,
}
"""The columns of `<dataset>._applied`, on every engine: the fields of Applied, in its order."""


def new_view_id() -> str:
    """The identity of a view that is added to the registry."""
    return uuid4().hex[:16]


def new_incarnation(view_id: str) -> str:
    """The identity of a new table for the view with this `view_id`: lower-case letters, digits and hyphens."""
    return f"{view_id or _NO_VIEW}-{uuid4().hex[:16]}"


class Published(Protocol):
    """The incarnation in a publication."""

    @property
    def incarnation(self) -> str | None:
        """The incarnation of the filled table; None for a publication of an earlier release."""


def incarnation_of(stated: str, last: Published | None) -> str:
    """The incarnation of a table: the one `stated` in the table's metadata, or the one in its last publication.

    A table that is recreated by hand has no metadata.
    """
    return stated or (last.incarnation if last is not None else None) or ""


def belongs(incarnation: str, view_id: str) -> bool:
    """Whether a table holds rows of the view with this `view_id`. Tables of earlier releases have no incarnation."""
    return (incarnation.partition("-")[0] if incarnation else _NO_VIEW) == (view_id or _NO_VIEW)


def check_definition(draft: Applied, stored: Applied | None) -> bool:
    """Whether the publication must write the row of `_applied`. Raises DefinitionNotApplied if it may not publish.

    `stored` is the row that the transaction reads.
    """
    if stored is None or stored.applied_number < draft.applied_number:
        return True
    if (stored.view_id, stored.identity) != (draft.view_id, draft.identity):
        raise DefinitionNotApplied(not_applied(draft.view))
    return False


def not_applied(view: str) -> str:
    """The message for a publication of a definition that is no longer the applied one."""
    return (
        f"Feature view '{view}': another definition was applied meanwhile, so nothing was published. Deploy the code "
        "that was applied, or run `amora-fs apply` with this code."
    )


def refused(name: str, table: str, *, run_id: str, sequence: int) -> PublicationRefused:
    """The error for a computation whose interval another run published first."""
    return PublicationRefused(
        f"'{name}': run {run_id} published the same interval of {table} (publication {sequence}) after this run had "
        "begun to read, so nothing was published. Run the computation again: it then reads what that run read."
    )
