"""HTTP messages in Feast's form: requests as validated structures."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class FeaturesRequest(msgspec.Struct):
    """Body of `POST /get-online-features`: entities, and features or a feature service. Other fields are ignored.

    `entities` also has the request columns of on-demand features, in the form that answers have.

    Feast's Python client always sends `include_feature_view_version_metadata`. The answer then has numbers for NaN and
    infinities, and null for lists that this client cannot read; if true, it also has the version 0 of each view.
    """

    entities: dict[str, list[int | str | float | bool | list[int | str | float | bool | None] | None]]
    features: list[str] | None = None
    feature_service: str | None = None
    full_feature_names: bool = False
    include_feature_view_version_metadata: bool | None = None


class PushRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /push`: rows of a feature view, with join keys, event_timestamp and features.

    Values have the same form as in answers: bytes in base64, dates and timestamps in ISO 8601, decimals as text or
    number, the words "NaN", "Infinity" and "-Infinity" for floats, and lists of these.
    """

    feature_view: str
    rows: list[dict[str, Any]]
    to_offline: bool = True


class FeastPushRequest(msgspec.Struct):
    """Feast's body of `POST /push`: columns of rows for all views of a push source. Other fields are ignored.

    `push_source_name` is the name of a feature view, or the value of the tag `push_source` of feature views.
    """

    push_source_name: str
    df: dict[str, list[Any]]
    to: Literal["online", "offline", "online_and_offline"] = "online"


class WriteRequest(msgspec.Struct):
    """Feast's body of `POST /write-to-online-store`: columns of rows for a feature view. Other fields are ignored."""

    feature_view_name: str
    df: dict[str, list[Any]]


class MaterializeRequest(msgspec.Struct):
    """Feast's body of `POST /materialize`: load the entities with rows in [start_ts, end_ts], by default of all views.

    With `disable_event_timestamp` all rows are loaded, into a new generation. Other fields are ignored.
    """

    start_ts: str | None = None
    end_ts: str | None = None
    feature_views: list[str] | None = None
    disable_event_timestamp: bool = False
    version: str | None = None


class MaterializeIncrementalRequest(msgspec.Struct):
    """Feast's body of `POST /materialize-incremental`: load what is new up to `end_ts`, by default the clock."""

    end_ts: str | None = None
    feature_views: list[str] | None = None
    version: str | None = None


class Pushed(msgspec.Struct):
    """Body of the answer to a push: the number of rows, and of rows that were newer than the online rows."""

    rows: int
    newer: int


class Loaded(msgspec.Struct):
    """Body of the answer to a load: the number of rows that were written, by feature view."""

    feature_views: dict[str, int]


class Problem(msgspec.Struct):
    """The type and the message of an error."""

    type: str
    message: str


class ErrorResponse(msgspec.Struct):
    """Body of every error answer."""

    error: Problem


class ViewVersion(msgspec.Struct):
    """A feature view with its version, always 0."""

    name: str
    version: int


class Metadata(msgspec.Struct):
    """Names in the order of the results; the join keys come first."""

    feature_names: list[str]
    feature_view_metadata: list[ViewVersion] = []


class Result(msgspec.Struct):
    """One feature of all entities or, with `layout=rows`, all features of one entity."""

    values: list[Any]
    statuses: list[str]
    event_timestamps: list[datetime]


class FeaturesResponse(msgspec.Struct):
    """Body of the answer to `POST /get-online-features`."""

    metadata: Metadata
    results: list[Result]
