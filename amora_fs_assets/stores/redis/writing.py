"""Writes rows to Redis: keys, bytes and expiries, in calls of the script that decides which row stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.expiry import KEPT_BEYOND_TTL
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.domain.time import from_microseconds
from amora_fs_assets.stores.redis import row_codec
from amora_fs_assets.stores.redis.keys import by_slot, namer
from amora_fs_assets.stores.redis.scripts import Call

if TYPE_CHECKING:
    import pyarrow as pa

_KEPT = KEPT_BEYOND_TTL // timedelta(milliseconds=1)
_BATCH = 1_000


@dataclass(frozen=True)
class Expiry:
    """When Redis may collect a row: a day after event_timestamp + ttl. Reads do not depend on it."""

    ttl: int | None  # ttl plus the day [ms]; None: never
    lasting: bool  # even a row that is too old stays for a day

    @classmethod
    def of_view(cls, view: FeatureView, *, expire: bool, lasting: bool = False) -> Expiry:
        """The expiry of the view's rows; none under a fixed clock (`expire` False).

        `lasting` is for rows that may replace others, such as tombstones: they must stay until every slower writer of
        an older publication has ended, since only an existing row can win over an older one.
        """
        ttl = None if view.ttl is None or not expire else view.ttl // timedelta(milliseconds=1) + _KEPT
        return cls(ttl, lasting)

    def of(self, times: Sequence[int]) -> list[int]:
        """The expiry [ms since 1970] for each event_timestamp [us]; 0: never."""
        ttl, soon = self.ttl, int(time.time() * 1000) + _KEPT
        if ttl is None:
            return [soon if time == NEVER else 0 for time in times]
        least = soon if self.lasting else 1
        return [soon if time == NEVER else max(least, time // 1000 + ttl) for time in times]


@dataclass(frozen=True)
class Calls:
    """Script calls for some thousand rows."""

    calls: list[Call]
    rows: int
    newest: int  # the greatest event_timestamp [us]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The options for writing a view's rows with a prefix."""

    view: FeatureView
    prefix: str
    sequence: int
    mode: bytes  # BATCH or PUSH
    expiry: Expiry
    flags: int = 0
    tombstones: bool = True  # False for a new generation, in which tombstones would delete nothing

    def calls(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Calls]:
        """Script calls for the batches' rows, some thousand rows each."""
        name = namer(self.prefix)
        for batch in batches:
            for encoded in row_codec.encode(self.view, batch, self.sequence, self.flags):
                columns: list[list[Any]] = [name(encoded.keys), encoded.rows, encoded.times]
                if not self.tombstones and NEVER in encoded.times:
                    kept = [place for place, moment in enumerate(encoded.times) if moment != NEVER]
                    columns = [[column[place] for place in kept] for column in columns]
                names, rows, times = columns
                if names:
                    yield Calls(self._calls(names, rows, self.expiry.of(times)), len(names), max(times))

    def _calls(self, *columns: list[Any]) -> list[Call]:
        """Script calls for columns of keys, rows and expiries."""
        names = columns[0]
        if self.prefix.endswith("{"):
            parts = [[[column[place] for place in places] for column in columns] for places in by_slot(names).values()]
        else:
            parts = [[column[i : i + _BATCH] for column in columns] for i in range(0, len(names), _BATCH)]
        return [Call(part[0], [self.mode], part[1:]) for part in parts]


def write(send: Callable[[Sequence[Call]], int], parts: Iterable[Calls]) -> tuple[int, datetime | None]:
    """Send the rows. While Redis writes one part, the next part is encoded, so memory holds two parts.

    Returns the number of rows and the greatest event_timestamp.
    """
    sent, newest = 0, NEVER
    with ThreadPoolExecutor(1) as sender:
        sending: Future[int] | None = None
        for part in parts:
            if sending is not None:
                sending.result()
            sending = sender.submit(send, part.calls)
            sent += part.rows
            newest = max(newest, part.newest)
        if sending is not None:
            sending.result()
    return sent, None if newest == NEVER else from_microseconds(newest)
