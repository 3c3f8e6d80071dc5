"""The checks of a feature view's arguments against each other."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from amora_fs_assets.domain.errors import DefinitionError
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, VALID_TO
from amora_fs_assets.domain.places.place import UTC_ZONE, check_mapping
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.transforms import INTERVAL_PARAMETER, check_parameters
from amora_fs_assets.domain.types import JOIN_KEY_TYPES, DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.feature_view import FeatureView


def check(view: FeatureView) -> None:
    """Check a view whose single arguments are right. Raises DefinitionError."""
    _check_columns(view)
    _check_time(view)
    _check_transform(view)


def _check_columns(view: FeatureView) -> None:
    schema = "of the catalogue" if view.schema is None else view.schema.__name__
    types = {column.name: column for column in view.columns}
    for entity in view.entities:
        for key in entity.join_keys:
            if key not in types and view.table is not None and key in view.times.roles:
                raise DefinitionError(
                    f"{view}: {view.times.roles[key]}='{key}' is the join key of entity '{entity.name}'. Name the "
                    "column with the time."
                )
            if key not in types:
                raise DefinitionError(
                    f"{view}: schema {schema} has no column '{key}', the join key of entity '{entity.name}'. "
                    "Add the column or drop the entity."
                )
            if types[key].nullable:
                raise DefinitionError(f"{view}: join key '{key}' is never null. Drop nullable=True in {schema}.")
            if types[key].type not in JOIN_KEY_TYPES:
                raise DefinitionError(
                    f"{view}: join key '{key}' is {types[key].type}; a join key is an int or a str. "
                    f"Cast it in the transform and declare `{key}: str` in {schema}."
                )
    if len(set(view.join_keys)) < len(view.join_keys):
        raise DefinitionError(f"{view}: two of its entities share a join key: {list(view.join_keys)}. Rename one.")
    for time in (CREATED_TIMESTAMP, *([VALID_TO] if view.has_valid_to else [])):
        if time in types and types[time].type is not DataType.TIMESTAMP:
            raise DefinitionError(f"{view}: {time} is {types[time].type}. Declare it as Timestamp.")
    if not view.features:
        raise DefinitionError(f"{view}: schema {schema} has no feature, only keys and times. Add a column.")


def _check_time(view: FeatureView) -> None:
    if view.start is None:
        return
    try:
        lateness = [each.max_lateness for each in view.sources if isinstance(each, Source)]
        _ = view.start - view.lookback - max((each for each in lateness if each), default=timedelta(0))
        if view.partitions is not None:
            first = view.partitions.floor(view.start)
            view.partitions.next(first)
    except OverflowError:
        raise DefinitionError(
            f"{view}: start {view.start.isoformat()} with its lookback, its sources' max_lateness and its "
            "first period does not lie within the years 1 to 9999. Choose another start or lookback."
        ) from None
    if view.partitions is not None and first != view.start:
        raise DefinitionError(
            f"{view}: start {view.start.isoformat()} lies within a {view.partitions}. "
            f"Start at {first.isoformat()}, where the {view.partitions} begins."
        )


def _check_transform(view: FeatureView) -> None:
    from_catalogue = view.schema is None  # the registry has no code
    if view.table is not None:
        if not from_catalogue:
            view.times.check(str(view), view.join_keys)
            check_mapping(str(view), view.field_mapping, _names_in_schema(view))
        if view.transform is not None or view.sources:
            raise DefinitionError(f"{view}: a view of an external table takes neither transform= nor sources=.")
        return
    if view.asset:
        raise DefinitionError(
            f"{view}: asset is for an external table (table=...). A transform's assets are named by its sources: "
            f"Source(..., asset={list(view.asset)})."
        )
    if view.timestamp_field != EVENT_TIMESTAMP:
        raise DefinitionError(f"{view}: timestamp_field is for table=...; a transform returns {EVENT_TIMESTAMP}.")
    if view.field_mapping or view.timezone != UTC_ZONE or view.created_timestamp_column != CREATED_TIMESTAMP:
        raise DefinitionError(
            f"{view}: created_timestamp_column, field_mapping and timezone are for an external table (table=...). "
            "Give them to the sources that the transform reads."
        )
    if view.has_valid_to:
        raise DefinitionError(
            f"{view}: valid_to_field is for an external table (table=...). To end the values of an entity, a "
            "transform returns a row of nulls at the instant at which they end."
        )
    if view.start is None:
        raise DefinitionError(f"{view}: give the start of the computed time, such as start='2013-01-01'.")
    if from_catalogue:
        return
    if view.transform is None:
        raise DefinitionError(f"{view}: it has neither a transform nor a table. Use @feature_view, or give table=.")
    check_parameters(str(view), view.transform, view.sources, extra=INTERVAL_PARAMETER)


def _names_in_schema(view: FeatureView) -> set[str]:
    stored = view.times.stored
    return {*stored, *stored.values(), *(column.name for column in view.columns)}
