"""The writer of a table: a writer does not replace rows that another writer published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import is_version_table

TO_TABLE = "to_table-"
"""The prefix of the ids of `to_table`'s runs."""
_EARLIER_TO_TABLE = re.compile("[0-9a-f]{32}")
"""The ids of `to_table`'s runs in an earlier release. No other run's id has this form."""


class Written(Protocol):
    """The common fields of a draft and a publication."""

    @property
    def name(self) -> str:
        """The name of the feature view, source or training set; for `to_table` the name of the table."""

    @property
    def table(self) -> str:
        """The table, as `dataset.table`."""

    @property
    def run_id(self) -> str:
        """The id of the run that publishes."""

    @property
    def definition_hash(self) -> str:
        """The hash of the view or training set; empty for other writers."""


@dataclass(frozen=True)
class Writer:
    """A writer of tables."""

    kind: Literal["feature view", "source", "training set", "to_table"]
    name: str

    def __str__(self) -> str:
        """The writer's name in messages."""
        return "to_table" if self.kind == "to_table" else f"{self.kind} '{self.name}'"


def writer_of(written: Written) -> Writer:
    """The writer of a draft or publication, derived from its fields alone. Works for publications of any release."""
    if written.run_id.startswith(TO_TABLE) or _EARLIER_TO_TABLE.fullmatch(written.run_id):
        return Writer("to_table", written.name)
    if is_version_table(written.table, written.name):
        return Writer("training set", written.name)
    return Writer("feature view" if written.definition_hash else "source", written.name)


def of_definitions(name: str | None, publications: Iterable[Publication]) -> tuple[Publication, ...]:
    """The publications of a definition; with a `name`, without those of `to_table`, which may share the name."""
    return tuple(each for each in publications if name is None or writer_of(each).kind != "to_table")


def check_owner(draft: Written, last: Written | None, *, filled: bool) -> None:
    """Refuse to write to a table whose `last` publication has another writer, or that is `filled` without publication.

    Raises OfflineStoreError.
    """
    writer = writer_of(draft)
    if last is None and filled:
        raise OfflineStoreError(
            f"Table {draft.table} is external: it holds rows that {writer} did not publish. "
            f"{_fix(writer)}, or move that table away."
        )
    if last is not None and writer_of(last) != writer:
        raise OfflineStoreError(
            f"Table {draft.table} belongs to {writer_of(last)}, which published it last (run {last.run_id}): "
            f"{writer} does not write to it. {_fix(writer)}, or drop that table."
        )


def _fix(writer: Writer) -> str:
    return "Name another table" if writer.kind in ("to_table", "source") else f"Rename the {writer.kind}"
