"""The identities of the protocol and its decisions, as docs/protocol.md says them. Stores follow these functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from amora_fs_assets.domain.errors import DefinitionNotApplied, PublicationRefused
from amora_fs_assets.domain.types import DataType

TRIES = 3
"""How often a computation is tried that other computations of its interval refuse."""
_NO_VIEW = "none"
"""What stands for the empty `view_id` in an incarnation; no other `view_id` is a word."""


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A row of `<dataset>._applied`: which definition of a view may publish."""

    view: str
    view_id: str
    identity: str  # empty: the view was pruned, so that nothing may publish
    applied_number: int  # of the snapshot that says so


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
    """The identity of a table that is made for a view of that `view_id`: lower-case letters, digits and hyphens."""
    return f"{view_id or _NO_VIEW}-{uuid4().hex[:16]}"


class Published(Protocol):
    """What a publication says of the table."""

    @property
    def incarnation(self) -> str | None:
        """Of the table that it filled; None where an earlier release published."""


def incarnation_of(stated: str, last: Published | None) -> str:
    """The incarnation of a table: what stands at the table, or what its last publication says.

    A table that is made anew by hand loses what stands at it.
    """
    return stated or (last.incarnation if last is not None else None) or ""


def belongs(incarnation: str, view_id: str) -> bool:
    """Whether a table holds rows of the view with that `view_id`. Tables of earlier releases have no incarnation."""
    return (incarnation.partition("-")[0] if incarnation else _NO_VIEW) == (view_id or _NO_VIEW)


def check_definition(draft: Applied, there: Applied | None) -> bool:
    """Whether the publication has to write the row of `_applied`. Raises DefinitionNotApplied where it may not publish.

    `there` is the row as the transaction finds it.
    """
    if there is None or there.applied_number < draft.applied_number:
        return True
    if (there.view_id, there.identity) != (draft.view_id, draft.identity):
        raise DefinitionNotApplied(not_applied(draft.view))
    return False


def not_applied(view: str) -> str:
    """The message for a publication of a definition that does not count any more."""
    return (
        f"Feature view '{view}': another definition was applied meanwhile, so nothing was published. Deploy the code "
        "that was applied, or run `amora-fs apply` with this code."
    )


def refused(name: str, table: str, *, run_id: str, sequence: int) -> PublicationRefused:
    """The error for a computation that another one of the same interval came before."""
    return PublicationRefused(
        f"'{name}': run {run_id} published the same interval of {table} (publication {sequence}) after this run had "
        "begun to read, so nothing was published. Run the computation again: it then reads what that run read."
    )
