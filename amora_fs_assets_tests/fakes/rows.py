"""The rows of an online store in memory, by key: which row stays, and what readers get."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from amora_fs_assets import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.online import (
    NEVER,
    PUSHED,
    Key,
    OnlineRows,
)

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A row, or a tombstone: at NEVER, without values."""

    sequence: int
    pushed: bool
    event: int  # [us since 1970]
    created: int | None
    values: tuple[Any, ...]

    @property
    def times(self) -> tuple[int, int]:
        return self.event, self.event if self.created is None else self.created

    def wins(self, stored: Row | None) -> bool:
        """As docs/protocol.md says in "Which row stays"."""
        if stored is None:
            return True
        if self.pushed:
            return self.times > stored.times and (stored.pushed or self.sequence > stored.sequence)
        later = self.sequence > stored.sequence
        same = self.sequence == stored.sequence
        return later or (same and stored.pushed) or ((same or stored.pushed) and self.times >= stored.times)


Rows = dict[tuple[Any, ...], Row]
"""By the values of the join keys, each with its type: 1 is not True."""


def typed(key: Sequence[Any]) -> tuple[Any, ...]:
    """The key with the type of each value."""
    return tuple((type(value), value) for value in key)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _FIRST) // timedelta(microseconds=1)


def rows_of(
    view: FeatureView, batch: pa.RecordBatch, sequence: int, *, pushed: bool = False
) -> list[tuple[tuple[Any, ...], Row]]:
    """The rows of a batch by their keys."""
    rows = []
    for each in batch.to_pylist():
        event, created = _micros(each[EVENT_TIMESTAMP]), _micros(each.get(CREATED_TIMESTAMP))
        values = tuple(each[column.name] for column in view.online_columns)
        row = Row(sequence, pushed, NEVER if event is None else event, created, values)
        rows.append((typed([each[name] for name in view.join_keys]), row))
    return rows


def put(rows: Rows, new: Iterable[tuple[tuple[Any, ...], Row]]) -> int:
    """Write the rows that win, and return their number."""
    won = 0
    for key, row in new:
        if row.wins(rows.get(key)):
            rows[key] = row
            won += 1
    return won


def read_rows(rows: Rows, keys: Sequence[Key], names: Sequence[str]) -> OnlineRows:
    """The rows of the keys by column; nulls at NEVER where there is none."""
    missing = Row(0, False, NEVER, None, (None,) * len(names))
    found = [rows.get(typed(key), missing) for key in keys]
    found = [missing if row.event == NEVER else row for row in found]
    return OnlineRows(
        [row.event for row in found],
        [row.created for row in found],
        {name: [row.values[place] for row in found] for place, name in enumerate(names)},
        [row.sequence << 32 | (PUSHED if row.pushed else 0) for row in found],
        complete=all(row.event != NEVER and None not in row.values for row in found),
    )
