"""Layers of spans in time: at each instant the span with the greatest rank is on top."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Layer(Generic[T]):
    """The value on top at each instant: `tops[i]` from `starts[i]` up to the next start."""

    starts: list[datetime]
    tops: list[T | None]

    @classmethod
    def of(cls, spans: Iterable[tuple[datetime, datetime, int, T]]) -> Layer[T]:
        """The layer of spans (start, end, rank, value). The greatest rank is on top."""
        ordered = sorted((span for span in spans if span[0] < span[1]), key=lambda span: span[0])
        cuts = sorted({instant for start, end, *_ in ordered for instant in (start, end)})
        layer, heap, place = cls([], []), list[tuple[int, int, datetime, T]](), 0
        for cut in cuts:
            while place < len(ordered) and ordered[place][0] <= cut:
                _, end, rank, value = ordered[place]
                heapq.heappush(heap, (-rank, place, end, value))  # the place is unique: values are not compared
                place += 1
            while heap and heap[0][2] <= cut:
                heapq.heappop(heap)
            layer.starts.append(cut)
            layer.tops.append(heap[0][3] if heap else None)
        return layer

    def at(self, instant: datetime) -> T | None:
        """The value on top at the instant; None if no span contains the instant."""
        place = bisect_right(self.starts, instant)
        return self.tops[place - 1] if place else None
