"""The likely cause for a computation without rows."""

from __future__ import annotations

from collections.abc import Mapping

from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.operations.expressions.tables import unbound
from amora_fs_assets.operations.offline.gate import GateResult
from amora_fs_assets.operations.offline.inputs import Fingerprint


def why_empty(
    view: FeatureView,
    interval: Interval,
    checked: GateResult,
    fingerprints: Mapping[str, Fingerprint],
    staged: str,
    store: OfflineStore,
) -> str:
    """The warning for an interval without rows, with the likely cause; empty if there are rows."""
    if checked.rows:
        return ""
    if checked.clipped_rows:
        return _all_clipped(view, interval, checked.clipped_rows, staged, store)
    without = [name for name, print_ in fingerprints.items() if not print_.rows]
    if without:
        names = " and ".join(f"'{name}'" for name in without)
        reach = f"{interval} or in the lookback of {view.lookback} before it" if view.lookback else str(interval)
        return f"no rows: source {names} has no rows that became known in {reach}. Was the source filled late?"
    if view.windows is not None:
        return ""  # no window changed in the interval
    read = ", ".join(f"{print_.rows:,} of source '{name}'" for name, print_ in fingerprints.items())
    of = f" from the rows that it read ({read})" if read else ""
    return (
        f"no rows: the transform returned no rows{of}. Check its filters and joins, and whether "
        f"lookback={view.lookback} is too short for the older rows that it needs."
    )


def _all_clipped(view: FeatureView, interval: Interval, clipped: int, staged: str, store: OfflineStore) -> str:
    rows = unbound(view.row_columns, staged)
    time = rows[EVENT_TIMESTAMP]
    with store.read(rows.aggregate(first=time.min(), last=time.max())) as batches:
        (found,) = batches.read_all().to_pylist()
    first, last = found["first"], found["last"]
    summary = (
        f"no rows: all {clipped:,} rows that the transform returned have an event_timestamp outside the interval, from "
        f"{first.isoformat()} to {last.isoformat()}"
    )
    if first >= interval.end:
        return (
            f"{summary}. Rows with a later time belong to a later interval, whose lookback must reach back to the "
            f"source's rows: check whether lookback={view.lookback} is too short."
        )
    return (
        f"{summary}. Set event_timestamp no earlier than the time at which the source's rows became known: `known_at`."
    )
