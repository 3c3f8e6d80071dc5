"""Who wrote a table: nobody replaces what another writer wrote there last."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import is_version_table

TO_TABLE = "to_table-"
"""How the ids of `to_table`'s runs begin."""
_EARLIER_TO_TABLE = re.compile("[0-9a-f]{32}")
"""The ids that an earlier release gave them: no other run's id is without a hyphen and as long."""


class Written(Protocol):
    """What is known of a publication, before it and after."""

    @property
    def name(self) -> str:
        """Of the feature view, source or training set; of `to_table` the table's own."""

    @property
    def table(self) -> str:
        """The table, as `dataset.table`."""

    @property
    def run_id(self) -> str:
        """The run that publishes."""

    @property
    def definition_hash(self) -> str:
        """Of the view or training set; empty for the others."""


@dataclass(frozen=True)
class Writer:
    """What writes tables."""

    kind: Literal["feature view", "source", "training set", "to_table"]
    name: str

    def __str__(self) -> str:
        """As messages name it."""
        return "to_table" if self.kind == "to_table" else f"{self.kind} '{self.name}'"


def writer_of(written: Written) -> Writer:
    """Who publishes, or published, it. Nothing but the publication itself is asked, of whatever release it is."""
    if written.run_id.startswith(TO_TABLE) or _EARLIER_TO_TABLE.fullmatch(written.run_id):
        return Writer("to_table", written.name)
    if is_version_table(written.table, written.name):
        return Writer("training set", written.name)
    return Writer("feature view" if written.definition_hash else "source", written.name)


def of_definitions(name: str | None, publications: Iterable[Publication]) -> tuple[Publication, ...]:
    """Those of a definition of that name: not what `to_table` wrote to a table that is called so elsewhere."""
    return tuple(each for each in publications if name is None or writer_of(each).kind != "to_table")


def check_owner(draft: Written, last: Written | None, *, filled: bool) -> None:
    """Refuse to write to a table of which `last` is the last publication, or that is `filled` without any.

    Raises OfflineStoreError, unless the last publication was the same writer's.
    """
    writer = writer_of(draft)
    if last is None and filled:
        raise OfflineStoreError(
            f"Table {draft.table} was there before {writer} and holds rows of somebody else's. "
            f"{_fix(writer)}, or move that table away."
        )
    if last is not None and writer_of(last) != writer:
        raise OfflineStoreError(
            f"Table {draft.table} belongs to {writer_of(last)}, which published it last (run {last.run_id}): "
            f"{writer} does not write to it. {_fix(writer)}, or drop that table."
        )


def _fix(writer: Writer) -> str:
    return "Name another table" if writer.kind in ("to_table", "source") else f"Rename the {writer.kind}"
