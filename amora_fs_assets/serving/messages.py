"""HTTP messages in Feast's form: requests as validated structures, answers as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.domain.time import EPOCH, from_microseconds
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.read import OnlineResponse

_encode = msgspec.json.Encoder().encode


class FeaturesRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /get-online-features`: entities, and features or a feature service."""

    entities: dict[str, list[int | str | float | bool | None]]
    features: list[str] | None = None
    feature_service: str | None = None
    full_feature_names: bool = False


class PushRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /push`: rows of a feature view, with join keys, event_timestamp and features.

    Values have the same form as in answers: bytes in base64, dates and timestamps in ISO 8601, decimals as text or
    number, the words "NaN", "Infinity" and "-Infinity" for floats, and lists of these.
    """

    feature_view: str
    rows: list[dict[str, Any]]
    to_offline: bool = True


class Problem(msgspec.Struct):
    """The type and the message of an error."""

    type: str
    message: str


class ErrorResponse(msgspec.Struct):
    """Body of every error answer."""

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
    """The response as JSON: one result per feature or, as in older Feast releases and Amora, per row.

    A missing time is 1970, as in Feast. NaN and infinities are the words "NaN", "Infinity" and "-Infinity", since JSON
    has no numbers for them. Bytes are in base64, decimals are text without trailing zeros. `POST /push` takes values in
    this form.
    """
    return _rows(response) if rows else _columns(response)


def _columns(response: OnlineResponse) -> bytes:
    names = list(response.columns)
    keys = names[: len(names) - len(response.statuses)]
    count = len(response.columns[names[0]])
    present = _encode(["PRESENT"] * count)
    results = [_results(response, keys, present, _encode([EPOCH] * count))] if keys else []
    for view in response.views:
        times = _encode(_times(view.event_timestamps))
        if view.complete:
            results.append(_results(response, view.names, present, times))
        else:
            results += [_results(response, [n], _encode(response.statuses[n]), times) for n in view.names]
    return b'{"metadata":{"feature_names":%b},"results":[%b]}' % (_encode(names), b",".join(results))


def _results(response: OnlineResponse, names: Sequence[str], statuses: bytes, times: bytes) -> bytes:
    """The results of columns with the same statuses and times."""
    columns = [_exact(response, name) for name in names]
    rest = b',"statuses":%b,"event_timestamps":%b}' % (statuses, times)
    between = rest + b',{"values":'
    values = between.join(map(_encode, columns))
    if b"null" in values:  # maybe a NaN or infinity, which msgspec encodes as null
        values = between.join([_encode(_jsonable(response, name)) for name in names])
    return b'{"values":%b%b' % (values, rest)


def _exact(response: OnlineResponse, name: str) -> list[Any]:
    """The column with decimals as short text: `1.25`, not `1.250000000`."""
    column = response.columns[name]
    if response.types[name] is not DataType.DECIMAL:
        return column
    texts = (None if value is None else f"{value:f}" for value in column)
    return [text.rstrip("0").rstrip(".") if text and "." in text else text for text in texts]


def _jsonable(response: OnlineResponse, name: str) -> list[Any]:
    column = _exact(response, name)
    return list(map(_number, column)) if response.types[name].item is DataType.FLOAT64 else column


def _rows(response: OnlineResponse) -> bytes:
    names = list(response.columns)
    keys = names[: len(names) - len(response.statuses)]
    count = len(response.columns[names[0]])
    statuses: dict[str, Sequence[str]] = {**{name: ["PRESENT"] * count for name in keys}, **response.statuses}
    times = {name: [EPOCH] * count for name in keys}
    for view in response.views:
        times.update(dict.fromkeys(view.names, _times(view.event_timestamps)))
    values = [_jsonable(response, name) for name in names]
    results = [
        {"values": v, "statuses": s, "event_timestamps": t}
        for v, s, t in zip(
            zip(*values, strict=True),
            zip(*(statuses[name] for name in names), strict=True),
            zip(*(times[name] for name in names), strict=True),
            strict=True,
        )
    ]
    return _encode({"metadata": {"feature_names": names}, "results": results})


def _times(moments: Sequence[int]) -> list[datetime]:
    known = {each: EPOCH if each == NEVER else from_microseconds(each) for each in set(moments)}
    return [known[each] for each in moments]


def _number(value: Any) -> Any:
    """A float, or a list of floats, in JSON form."""
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list):
        return list(map(_number, value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
