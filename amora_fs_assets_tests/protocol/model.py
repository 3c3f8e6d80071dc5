"""The page in plain Python: what the offline table has to be, and what may be served."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP
from amora_fs_assets_tests.protocol.definitions import CLOCK, KEYS
from amora_fs_assets_tests.protocol.world import Published

Row = dict[str, Any]
Served = dict[int, tuple[int, Row] | None]
"""The served row of each key: event_timestamp [microseconds] and values."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def times(row: Row) -> tuple[datetime, datetime]:
    """Which of a key's rows is the newer one; a null created_timestamp is event_timestamp."""
    return row[EVENT_TIMESTAMP], row.get(CREATED_TIMESTAMP) or row[EVENT_TIMESTAMP]


def identity(row: Row) -> tuple[Any, ...]:
    return (row["shop"], *times(row))


def micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


class Table:
    """The offline table, as publications make it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], tuple[int, Row]] = {}  # by identity: the sequence that pushed it or 0, the row
        self.view_id: str | None = None

    def publish(self, event: Published) -> None:
        draft = event.draft
        if draft.applied is not None and draft.applied.view_id != self.view_id:
            self.rows, self.view_id = {}, draft.applied.view_id
        staged = {identity(row): row for row in event.rows}
        if draft.appended:
            self.rows |= {key: (event.sequence, row) for key, row in staged.items()}
            return
        for key, (pushed, row) in list(self.rows.items()):
            inside = draft.interval is None or draft.interval.start <= row[EVENT_TIMESTAMP] < draft.interval.end
            if inside and not (pushed > (draft.seen or 0)):
                del self.rows[key]
        taken = draft.taken
        for key, row in staged.items():
            if taken is None or taken.start <= row[EVENT_TIMESTAMP] < taken.end:
                self.rows[key] = (0, row)

    def newest(self) -> dict[int, Row]:
        """Of each key, up to the clock."""
        found: dict[int, Row] = {}
        for _, row in self.rows.values():
            if row[EVENT_TIMESTAMP] <= CLOCK and (row["shop"] not in found or times(row) > times(found[row["shop"]])):
                found[row["shop"]] = row
        return found


def folded(events: Sequence[Published]) -> Table:
    table = Table()
    for each in events:
        table.publish(each)
    return table


def prefixes(events: Sequence[Published]) -> list[dict[int, Row]]:
    """The newest rows after each publication, before the first one too."""
    table, found = Table(), list[dict[int, Row]]([{}])
    for each in events:
        table.publish(each)
        found.append(table.newest())
    return found


def unlawful(events: Sequence[Published]) -> list[str]:
    """Publications that the page refuses, and corrections that are lost."""
    wrong = []
    for place, each in enumerate(events):
        if each.draft.appended:
            continue
        if each.draft.seen is None:
            wrong.append(f"publication {each.sequence} does not say what it had seen")
            continue
        for before in events[:place]:
            if before.draft.appended or not _overlap(before, each):
                continue
            if before.sequence > each.draft.seen:
                wrong.append(f"publication {each.sequence} replaced {before.sequence}, which came between")
            if _version(before.rows) > _version(each.rows) and each.rows:
                wrong.append(f"publication {each.sequence} read an older source than {before.sequence}")
    return wrong


def _overlap(one: Published, other: Published) -> bool:
    a, b = one.draft.interval, other.draft.interval
    return a is None or b is None or (a.start < b.end and b.start < a.end)


def _version(rows: Iterable[Row]) -> int:
    """Which correction of the source the rows are of; see definitions.source_rows."""
    return max((int(row["total"] % 1_000) // 10 for row in rows), default=0)


def as_served(row: Row | None, names: Iterable[str]) -> tuple[int, Row] | None:
    """As a read of these features gives the row."""
    return None if row is None else (micros(row[EVENT_TIMESTAMP]), {name: row.get(name) for name in names})


def same_table(table: Table, rows: Sequence[Row]) -> list[str]:
    """How the rows differ from the table's."""
    there = {identity(row): row for row in rows}
    wrong = [f"offline lost {key}" for key in table.rows.keys() - there.keys()]
    wrong += [f"offline has {key}, which nothing published" for key in there.keys() - table.rows.keys()]
    for key in table.rows.keys() & there.keys():
        expected = table.rows[key][1]
        if any(expected.get(name) != value for name, value in there[key].items() if name != CREATED_TIMESTAMP):
            wrong.append(f"offline has {there[key]}, published was {expected}")
    return wrong


def served_wrong(table: Table, online_only: Sequence[Row], found: Served) -> list[str]:
    """What of the served rows is not the newest row offline, nor a newer one that was pushed to readers alone."""
    newest, wrong = table.newest(), []
    for key in KEYS:
        row, got = newest.get(key), found[key]
        names = got[1] if got else ()
        right = [as_served(row, names)]
        right += [
            as_served(each, names) for each in online_only
            if each["shop"] == key and (row is None or times(each) > times(row))
        ]  # fmt: skip
        if got not in right:
            wrong.append(f"online has {got} of shop {key}, right is {' or '.join(map(str, right))}")
    return wrong
