"""What goes over the wire, in Feast's form: requests as checked structures, answers as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from amora_fs_assets.domain.ports import NEVER
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online import OnlineResponse

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_encoder = msgspec.json.Encoder()


class FeaturesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /get-online-features`: features, or a feature service, of some entities."""

    entities: dict[str, list[int | str | float | bool | None]]
    features: list[str] | None = None
    feature_service: str | None = None
    full_feature_names: bool = False


class PushRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /push`: rows of a feature view, with join keys, event_timestamp (ISO 8601) and features."""

    feature_view: str
    rows: list[dict[str, Any]]
    to_offline: bool = True


class Problem(msgspec.Struct):
    """What went wrong."""

    type: str
    message: str


class ErrorResponse(msgspec.Struct):
    """Body of every answer that is not a success."""

    error: Problem


class Metadata(msgspec.Struct):
    """Names in the order of the results; the join keys come first."""

    feature_names: list[str]


class Result(msgspec.Struct):
    """One feature of all entities or, with `layout=rows`, all features of one entity."""

    values: list[Any]
    statuses: list[str]
    event_timestamps: list[datetime]


class FeaturesResponse(msgspec.Struct):
    """Body of the answer to `POST /get-online-features`."""

    metadata: Metadata
    results: list[Result]


def answer(response: OnlineResponse, *, rows: bool) -> bytes:
    """The response as JSON: a result per feature or, as older Feasts and Amora have it, per row.

    A time is 1970 where there is none, as with Feast. NaN and infinities are the words "NaN", "Infinity",
    "-Infinity", as JSON has no numbers for them; bytes are in base64.
    """
    names = list(response.columns)
    times = {name: _times(moments) for _, view_names, moments in response.views for name in view_names[:1]}
    first = {name: view_names[0] for _, view_names, _ in response.views for name in view_names}
    keys = len(names) - len(response.statuses)
    count = len(response.columns[names[0]])
    present = ["PRESENT"] * count
    never = [_EPOCH] * count
    values = [_jsonable(response.columns[name], response.types[name]) for name in names]
    statuses: list[Sequence[str]] = [present] * keys + [response.statuses[name] for name in names[keys:]]
    moments = [never] * keys + [times[first[name]] for name in names[keys:]]
    metadata = {"feature_names": names}
    if rows:
        per_row = zip(zip(*values, strict=True), zip(*statuses, strict=True), zip(*moments, strict=True), strict=True)
        results: list[Any] = [{"values": v, "statuses": s, "event_timestamps": t} for v, s, t in per_row]
        return _encoder.encode({"metadata": metadata, "results": results})
    encoded = {id(each): msgspec.Raw(_encoder.encode(each)) for each in moments}  # one per view, not per feature
    results = [
        {"values": v, "statuses": s, "event_timestamps": encoded[id(t)]}
        for v, s, t in zip(values, statuses, moments, strict=True)
    ]
    return _encoder.encode({"metadata": metadata, "results": results})


def _times(moments: Sequence[int]) -> list[datetime]:
    if moments and moments.count(moments[0]) == len(moments):
        return [_EPOCH if moments[0] == NEVER else _EPOCH + timedelta(microseconds=moments[0])] * len(moments)
    return [_EPOCH if moment == NEVER else _EPOCH + timedelta(microseconds=moment) for moment in moments]


def _jsonable(values: list[Any], type_: DataType) -> list[Any]:
    if type_ is DataType.FLOAT64:
        try:
            finite = math.isfinite(sum(values))
        except TypeError:  # there are nulls
            finite = False
        return values if finite else [_number(value) for value in values]
    if type_ is DataType.LIST_FLOAT64:
        return [None if value is None else [_number(item) for item in value] for value in values]
    return values


def _number(value: float | Decimal | None) -> Any:
    if value is None or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
