"""The arguments of `get_historical_features`, in the order and the words of this project or of Feast."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.time import MICROSECOND, Instant, Interval, after, utc

_NAME = re.compile(r"[^\s()]*")
"""The text of a name, which a SELECT is not."""
_FIRST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class HistoricalRequest:
    """A request: features for entity rows or, with `interval`, for every row of the views in the interval."""

    features: Any
    entity_df: Any
    full_feature_names: bool
    known_time: bool
    interval: Interval | None


def request(
    first: Any,
    second: Any,
    full_feature_names: Any,
    known_time: Any,
    end_date: Instant | None,
    filter_by_created_timestamp: Any,
    *,
    features: Any,
    entity_df: Any,
    start_date: Instant | None,
    start: Instant | None,
    end: Instant | None,
    clock: datetime,
) -> HistoricalRequest:
    """The request of a call.

    The first two arguments are features and entity_df, in this order or in Feast's, which is (entity_df, features,
    full_feature_names, start_date, end_date, filter_by_created_timestamp). Their types tell the order. Raises
    InvalidRequest.
    """
    in_feasts_order = _are_entity_rows(first) or (first is None and second is not None and not _are_entity_rows(second))
    if in_feasts_order or (features is not None and second is None):
        first, second = second, first
    features, entity_df = _once("features", first, features), _once("entity_df", second, entity_df)
    if in_feasts_order and not isinstance(known_time, bool):
        start_date, known_time = _once("start_date", known_time, start_date), False
    if features is None:
        raise InvalidRequest(
            "get_historical_features: features is missing. Give a feature service or its name, or references such as "
            "['view:feature']."
        )
    callers.flag("full_feature_names", full_feature_names)
    known = callers.flag("known_time", known_time) or callers.flag(
        "filter_by_created_timestamp", filter_by_created_timestamp
    )
    return HistoricalRequest(
        features=features,
        entity_df=entity_df,
        full_feature_names=full_feature_names,
        known_time=known,
        interval=_interval(start, end, start_date, end_date, clock),
    )


def _once(argument: str, value: Any, named: Any) -> Any:
    """The value of an argument that is given by position or by name."""
    if value is not None and named is not None:
        raise InvalidRequest(f"get_historical_features: {argument} is given twice.")
    return named if value is None else value


def _are_entity_rows(value: Any) -> bool:
    """Whether the value can only be entity rows: a frame, a table, or a SELECT."""
    if isinstance(value, FeatureService | FeatureView | FeatureViewProjection):
        return False
    if isinstance(value, str):
        return not _NAME.fullmatch(value)
    return any(hasattr(value, name) for name in ("columns", "schema", "__arrow_c_stream__", "to_arrow"))


def _interval(
    start: Instant | None, end: Instant | None, start_date: Instant | None, end_date: Instant | None, clock: datetime
) -> Interval | None:
    """The requested range of time: `end` is excluded, Feast's `end_date` included; an open end is the clock."""
    if (start is not None or end is not None) and (start_date is not None or end_date is not None):
        raise InvalidRequest("get_historical_features: give start and end, or Feast's start_date and end_date.")
    if all(each is None for each in (start, end, start_date, end_date)):
        return None
    first = start if start is not None else start_date
    if end is not None:
        last = utc(end, "end")
    else:
        last = after(clock if end_date is None else utc(end_date, "end_date"), MICROSECOND)
    return callers.interval(_FIRST if first is None else utc(first, "start"), last)
