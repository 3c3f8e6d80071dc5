"""Answers to `POST /get-online-features` as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from amora_fs_assets.domain.ports.online import NEVER
from amora_fs_assets.domain.time import EPOCH, from_microseconds
from amora_fs_assets.domain.types import DataType, reader
from amora_fs_assets.operations.online.read import OnlineResponse

_encode = msgspec.json.Encoder().encode


def _number(value: Any) -> Any:
    """A value in JSON form: a float, or a list, struct or map that holds floats."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return list(map(_number, value))
    if isinstance(value, dict):
        return {name: _number(each) for name, each in value.items()}
    return value


def _python_number(value: Any) -> Any:
    """As `_number`, with Python's names in place of the words."""
    if isinstance(value, list):
        return list(map(_python_number, value))
    if isinstance(value, dict):
        return {name: _python_number(each) for name, each in value.items()}
    written = _number(value)
    return msgspec.Raw(written.encode()) if written is not value else value


def answer(response: OnlineResponse, *, rows: bool) -> bytes:
    """The response as JSON: one result per feature or, as in older Feast releases and Amora, per row.

    A missing time is 1970, as in Feast. NaN and infinities are the words "NaN", "Infinity" and "-Infinity", since JSON
    has no numbers for them. Bytes are in base64, decimals are text without trailing zeros. `POST /push` takes values in
    this form.
    """
    return _rows(response) if rows else _columns(response)


def answer_for_feast(response: OnlineResponse, *, versions: bool) -> bytes:
    """The response as JSON that Feast's Python client reads; with `versions`, also the version 0 of each view.

    This client takes the word "NaN" for text, and fails on it within a list. So NaN and infinities are the names that
    Python's JSON has for them: NaN, Infinity, -Infinity. The client also fails on an empty list or map and on a list
    with nulls: these are null, with the status NULL_VALUE, but a null in a list of floats is NaN.
    """
    views = [{"name": name, "version": 0} for name in dict.fromkeys(view.view for view in response.views)]
    metadata = b',"feature_view_metadata":%b' % _encode(views) if versions else b""
    return _columns(_with_readable_lists(response), _python_number, metadata)


def _with_readable_lists(response: OnlineResponse) -> OnlineResponse:
    names = [name for name in response.statuses if response.types[name].value.startswith(_WITH_LISTS)]
    if not names:
        return response
    columns, statuses = dict(response.columns), dict(response.statuses)
    for name in names:
        nan = response.types[name].item is DataType.FLOAT64
        columns[name] = [_readable(value, nan=nan) for value in columns[name]]
        both = zip(columns[name], statuses[name], strict=True)
        statuses[name] = ["NULL_VALUE" if value is None and said == "PRESENT" else said for value, said in both]
    views = [replace(view, complete=view.complete and set(names).isdisjoint(view.names)) for view in response.views]
    return OnlineResponse(columns, statuses, response.types, views)


_WITH_LISTS = ("list<", "struct<", "map<")


def _readable(value: Any, *, nan: bool = False) -> Any:
    """The value, or null for a list or map that is empty, and for a list with nulls; see `answer_for_feast`."""
    if isinstance(value, dict):
        return {name: _readable(part) for name, part in value.items()} or None
    if not isinstance(value, list):
        return value
    if nan or any(isinstance(item, float) for item in value):
        value = [math.nan if item is None else item for item in value]
    if not value or None in value:
        return None
    return [{n: _readable(part) for n, part in item.items()} if isinstance(item, dict) else item for item in value]


def _columns(response: OnlineResponse, number: Callable[[Any], Any] = _number, metadata: bytes = b"") -> bytes:
    names = list(response.columns)
    keys = names[: len(names) - len(response.statuses)]
    count = len(response.columns[names[0]])
    present = _encode(["PRESENT"] * count)
    results = [_results(response, keys, present, _encode([EPOCH] * count), number)] if keys else []
    for view in response.views:
        times = _encode(_times(view.event_timestamps))
        if view.complete:
            results.append(_results(response, view.names, present, times, number))
        else:
            results += [_results(response, [n], _encode(response.statuses[n]), times, number) for n in view.names]
    return b'{"metadata":{"feature_names":%b%b},"results":[%b]}' % (_encode(names), metadata, b",".join(results))


def _results(
    response: OnlineResponse, names: Sequence[str], statuses: bytes, times: bytes, number: Callable[[Any], Any]
) -> bytes:
    """The results of columns with the same statuses and times."""
    columns = [_exact(response, name) for name in names]
    rest = b',"statuses":%b,"event_timestamps":%b}' % (statuses, times)
    between = rest + b',{"values":'
    values = between.join(map(_encode, columns))
    if b"null" in values:  # maybe a NaN or infinity, which msgspec encodes as null
        values = between.join([_encode(_jsonable(response, name, number)) for name in names])
    return b'{"values":%b%b' % (values, rest)


def _exact(response: OnlineResponse, name: str) -> list[Any]:
    """The column with decimals as short text: `1.25`, not `1.250000000`."""
    column = response.columns[name]
    if response.types[name] in _SCALARS:
        return column
    read = reader(response.types[name], _DECIMALS)
    return column if read is None else list(map(read, column))


def _short(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_DECIMALS = {DataType.DECIMAL: _short}
_SCALARS = frozenset(DataType) - {DataType.DECIMAL}
"""Types without decimals."""


def _jsonable(response: OnlineResponse, name: str, number: Callable[[Any], Any]) -> list[Any]:
    column = _exact(response, name)
    return list(map(number, column)) if DataType.FLOAT64 in response.types[name].leaves else column


def _rows(response: OnlineResponse) -> bytes:
    names = list(response.columns)
    keys = names[: len(names) - len(response.statuses)]
    count = len(response.columns[names[0]])
    statuses: dict[str, Sequence[str]] = {**{name: ["PRESENT"] * count for name in keys}, **response.statuses}
    times = {name: [EPOCH] * count for name in keys}
    for view in response.views:
        times.update(dict.fromkeys(view.names, _times(view.event_timestamps)))
    values = [_jsonable(response, name, _number) for name in names]
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
