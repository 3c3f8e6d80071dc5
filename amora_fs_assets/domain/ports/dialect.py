"""What operations must know about an offline store's engine to compile expressions for the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any

import ibis
import ibis.expr.datatypes as dt
from ibis.expr.types import IntegerValue, StringValue, TimestampValue, Value

from amora_fs_assets.domain.time import Period


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """Capabilities of an engine. Operations ask for a capability, and never for the engine's name."""

    name: str
    """The SQL dialect, as sqlglot and Ibis call it."""
    has_asof_join: bool
    """Whether the engine joins each moment with the last row before the moment (ASOF JOIN)."""
    estimates_scans: bool
    """Whether `OfflineStore.scanned_bytes` answers. Otherwise a plan counts the rows of the sources."""
    json: Callable[[Value], StringValue]
    """A row (a struct) as JSON text."""
    md5: Callable[[StringValue], StringValue]
    """The MD5 of a text, in hex."""
    hash: Callable[[Value], IntegerValue]
    """A hash of a row (a struct). Stores with the same `OfflineStore.hashing` hash alike."""
    period_number: Callable[[TimestampValue, Period], IntegerValue]
    """The number of the hour or the day since the year 1 that contains an instant."""
    in_zone: Callable[[Value, str], TimestampValue]
    """The instant of a timestamp without zone, or of a date's midnight, in a time zone of the IANA database."""
    json_text: Callable[[Value], StringValue]
    """A value of the engine's JSON type as text."""
    entries: Callable[[Value], Value]
    """A map as a list of structs of `key` and `value`, for an engine with maps."""
    operations: Mapping[str, Callable[..., Value]]
    """The operations of request-time formulas, by name: see `domain/request_time/operations/`."""


def engine_function(function: str, type_: dt.DataType, *values: Value, within: str | None = None) -> Any:
    """Call an engine's function that Ibis does not support. `within` is a prefix, such as BigQuery's `SAFE`."""
    return _engine_function(function, type_, tuple(value.type() for value in values), within)(*values)


@lru_cache(maxsize=1_000)
def _engine_function(
    function: str, type_: dt.DataType, types: tuple[dt.DataType, ...], within: str | None
) -> Callable[..., Any]:
    def called(*_: Any) -> None: ...

    names = [Parameter(f"argument_{place}", Parameter.POSITIONAL_ONLY) for place in range(len(types))]
    vars(called)["__signature__"] = Signature(names)
    builtin: Any = ibis.udf.scalar.builtin
    made: Callable[..., Any] = builtin(called, name=function, database=within, signature=(types, type_))
    return made
