"""Feature views: the features of one or more entities over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Literal, get_args

from amora_fs_assets.domain import arguments, view_checks
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.identity.fingerprint import content_hash, function_hash
from amora_fs_assets.domain.identity.meaning import Meaning
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, RESERVED_COLUMNS, VALID_TO, check_name
from amora_fs_assets.domain.places.place import UTC_ZONE, Place, Where
from amora_fs_assets.domain.places.row_times import RowTimes
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.rules.gate import Gate
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.time import Instant, Interval, Period
from amora_fs_assets.domain.transforms import INTERVAL_PARAMETER, Transform, checked_function, name_of
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from amora_fs_assets.domain.schema import FeatureSchema
    from amora_fs_assets.domain.windows.durations import Windows

PeriodName = Literal["hour", "day", "week", "month"]
TablePeriodName = Literal["hour", "day", "month"]


@dataclass(frozen=True, init=False)
class FeatureView:
    """The features of entities, as rows of (join keys, event_timestamp, features).

    A view with a transform is computed from its sources, one interval at a time. A view without a transform stands for
    an external table, which another system fills: the store checks, loads and joins the table, and never copies it.

    Args:
        name: The view's name. The view's table in the store's dataset has the same name.
        schema: The columns of the rows: types, checks, units and descriptions.
        entities: The entities that the features describe; empty for features of no entity, such as a global rate.
        sources: The sources and feature views that the transform reads.
        transform: A function of the sources' Ibis tables. It returns the rows of an interval as an Ibis expression.
        table: The external table, as `dataset.table` or `project.dataset.table`; only for a view without a transform.
        query: A SELECT of the engine, instead of an external table.
        path: A file or folder, instead of an external table; see Source.
        timestamp_field: The external table's column that holds the time of a row.
        created_timestamp_column: The external table's column that holds the time at which a row became known.
        valid_to_field: The external table's column that holds the time at which the values of a row end; null: they
            hold until the next row. From then on the entity has no values, in joins and online.
        field_mapping: Names in the schema by columns in the external table, for columns with another name.
        timezone: The time zone of timestamps without one in the external table; see Source.
        asset: The key of the Dagster asset that fills the external table, such as ["marts", "sizes"].
        ttl: How long a value is valid after its event_timestamp; None: forever.
        partitions: The calendar period of a partition; None: the whole table is computed at once.
        start: The start of the first partition.
        lookback: How far before an interval a computation of the interval reads the sources. If the schema has windows
            (`rolling`), it follows from them.
        table_partitions: The period by which BigQuery partitions the view's table: "hour", "day" or "month".
        description: What a row is; the schema's docstring by default.
        owner: The person or team that is responsible for the view: an e-mail address, or `team:<name>`.
        tags: Labels to search by.

    Raises:
        DefinitionError: an argument is wrong. The message names the view, the argument or column, and the fix.

    """

    name: str
    entities: tuple[Entity, ...]
    columns: tuple[Column, ...]
    sources: tuple[Source | FeatureView, ...]
    table: str | None
    timestamp_field: str
    ttl: timedelta | None
    partitions: Period | None
    start: datetime | None
    lookback: timedelta
    table_partitions: Period
    description: str
    owner: str
    tags: Mapping[str, str] = field(hash=False)
    code_hash: str = ""
    asset: tuple[str, ...] = ()
    query: str | None = None
    path: str | None = None
    path_table: str | None = None  # the table in a DuckDB file
    created_timestamp_column: str = CREATED_TIMESTAMP
    valid_to_field: str | None = None
    field_mapping: Mapping[str, str] = field(default_factory=dict, hash=False)
    timezone: str = UTC_ZONE
    schema: type[FeatureSchema] | None = field(default=None, compare=False, repr=False)
    transform: Transform | None = field(default=None, compare=False, repr=False)
    applied_meaning: Meaning | None = field(default=None, compare=False, repr=False)
    view_id: str = field(default="", compare=False, repr=False)  # of a view read from the registry

    def __init__(
        self,
        name: str,
        schema: type[FeatureSchema] | tuple[Column, ...],
        entities: Sequence[Entity] = (),
        sources: Sequence[Source | FeatureView] = (),
        *,
        transform: Transform | None = None,
        table: str | None = None,
        timestamp_field: str = EVENT_TIMESTAMP,
        asset: str | Sequence[str] = (),
        query: str | None = None,
        path: str | PathLike[str] | None = None,
        created_timestamp_column: str = CREATED_TIMESTAMP,
        valid_to_field: str | None = None,
        field_mapping: Mapping[str, str] | None = None,
        timezone: str = UTC_ZONE,
        ttl: timedelta | None = None,
        partitions: PeriodName | Period | None = Period.DAY,
        start: Instant | None = None,
        lookback: timedelta = timedelta(0),
        table_partitions: TablePeriodName | Period = Period.DAY,
        description: str = "",
        owner: str = "",
        tags: Mapping[str, str] | None = None,
        code_hash: str = "",
        gate: Gate | None = None,
        view_id: str = "",
        applied_meaning: Meaning | None = None,
    ) -> None:
        """Check each argument, and the arguments against each other."""
        check_name("Feature view", name)
        label = f"Feature view '{name}'"
        from_catalogue = isinstance(schema, tuple)  # the registry has no code
        if isinstance(schema, tuple):
            columns, schema_class = arguments.items(label, "schema", schema, (Column,), "Give a FeatureSchema."), None
            vars(self).update(gate=gate)
        else:
            schema_class = arguments.schema(label, schema)
            columns = schema_class.columns_of(label)
            description = arguments.text(label, "description", description) or schema_class.description_of()
        where = Where.of(
            label, name, table=table, query=query, path=path, field_mapping=field_mapping, timezone=timezone
        )
        windows = None if schema_class is None or transform is None else schema_class.windows_of()
        if windows is not None and not lookback:
            lookback = windows.lookback
        if where.table is not None:
            partitions = None
        timestamp_field = arguments.text(label, "timestamp_field", timestamp_field)
        created = arguments.text(label, "created_timestamp_column", created_timestamp_column)
        ends = None if valid_to_field is None else arguments.text(label, "valid_to_field", valid_to_field)
        if where.table is not None:
            columns = RowTimes(timestamp_field, created, ends).columns(columns, where.field_mapping)
        if transform is not None:
            code_hash = function_hash(checked_function(label, "transform", transform))
        vars(self).update(
            vars(where),
            name=name,
            entities=arguments.items(label, "entities", entities, (Entity,), "Give a list: entities=[customer]."),
            columns=columns,
            sources=arguments.items(
                label, "sources", sources, (Source, FeatureView), "Give a list of sources and views: sources=[orders]."
            ),
            timestamp_field=timestamp_field,
            created_timestamp_column=created,
            valid_to_field=ends,
            ttl=None if ttl is None else arguments.duration(label, "ttl", ttl, none="values that never expire"),
            partitions=None
            if partitions is None
            else arguments.period(label, "partitions", partitions, get_args(PeriodName), or_none=True),
            start=None if start is None else arguments.instant(label, "start", start),
            lookback=arguments.duration(label, "lookback", lookback),
            table_partitions=arguments.period(label, "table_partitions", table_partitions, get_args(TablePeriodName)),
            description=arguments.text(label, "description", description),
            owner=owner if from_catalogue else arguments.owner_of(label, owner),
            tags=arguments.tags_of(label, tags, check=not from_catalogue),
            code_hash=arguments.text(label, "code_hash", code_hash),
            asset=arguments.asset_key(label, asset) if asset else (),
            schema=schema_class,
            transform=transform,
            applied_meaning=applied_meaning,
            view_id=view_id,
        )
        view_checks.check(self)
        over_views = transform is not None and any(isinstance(each, FeatureView) for each in self.sources)
        if windows is not None or over_views:
            from amora_fs_assets.domain.identity.compiled import check_transform

            check_transform(self, windows)

    @property
    def times(self) -> RowTimes:
        """The arguments that name the times of a row."""
        return RowTimes(self.timestamp_field, self.created_timestamp_column, self.valid_to_field)

    @cached_property
    def place(self) -> Place | None:
        """Where the rows of an external table are; None for a view with a transform."""
        if self.table is None:
            return None
        return Place(str(self), self.where, self.row_columns, self.times.names(self.field_mapping))

    @property
    def where(self) -> Where:
        """The arguments that say where the rows of an external table are."""
        return Where(self.table, self.query, self.path, self.path_table, self.field_mapping, self.timezone)

    def __str__(self) -> str:
        """The view's name in messages."""
        return f"Feature view '{self.name}'"

    @property
    def windows(self) -> Windows | None:
        """The windows of the schema, if the view is computed and has them; None for a view read from the registry."""
        return None if self.schema is None or self.transform is None else self.schema.windows_of()

    @property
    def join_keys(self) -> tuple[str, ...]:
        """The names of the columns that identify an entity, in the order of the entities."""
        return tuple(key for entity in self.entities for key in entity.join_keys)

    @property
    def key_columns(self) -> tuple[Column, ...]:
        """The join keys as columns, in the order of the entities."""
        return tuple(next(column for column in self.columns if column.name == key) for key in self.join_keys)

    @cached_property
    def features(self) -> tuple[Column, ...]:
        """The columns that are neither join keys nor timestamps, in the order of the schema."""
        taken = {*RESERVED_COLUMNS, *self.join_keys, *([VALID_TO] if self.has_valid_to else [])}
        return tuple(column for column in self.columns if column.name not in taken)

    @property
    def online_columns(self) -> tuple[Column, ...]:
        """The columns of a row that the online store keeps beside keys and the two times: features and valid_to."""
        return (*self.features, *self._ends)

    @property
    def _ends(self) -> tuple[Column, ...]:
        return tuple(each for each in self.columns if each.name == VALID_TO) if self.has_valid_to else ()

    @property
    def has_created_timestamp(self) -> bool:
        """Whether the rows have a created_timestamp: when their values became known."""
        return any(column.name == CREATED_TIMESTAMP for column in self.columns)

    @property
    def has_valid_to(self) -> bool:
        """Whether the rows have a valid_to: when their values end."""
        return self.valid_to_field is not None

    @property
    def row_key(self) -> tuple[str, ...]:
        """The columns that make a row unique: join keys and timestamps."""
        created = (CREATED_TIMESTAMP,) if self.has_created_timestamp else ()
        return (*self.join_keys, EVENT_TIMESTAMP, *created)

    @cached_property
    def gate(self) -> Gate | None:
        """The view's checks as a query, which a push runs; None for a view that an earlier release applied."""
        from amora_fs_assets.domain.rules.of_view import compiled

        return compiled(self)

    @property
    def row_columns(self) -> tuple[Column, ...]:
        """All columns in the order of the table: join keys, times, features."""
        known = {column.name: column for column in self.columns}
        rules = known[EVENT_TIMESTAMP].rules if EVENT_TIMESTAMP in known else ()
        label = "When the values hold from (UTC)."
        times = [Column(EVENT_TIMESTAMP, DataType.TIMESTAMP, description=label, rules=rules)]
        if self.has_created_timestamp:
            times.append(known[CREATED_TIMESTAMP])
        return (*self.key_columns, *times, *self._ends, *self.features)

    @cached_property
    def schema_hash(self) -> str:
        """Hash of the columns' names, types and nullability: the layout of a stored row."""
        return content_hash([[c.name, c.type, c.nullable] for c in self.row_columns])

    @cached_property
    def meaning(self) -> Meaning | None:
        """What the transform computes; None for an external table, and for a view that an old release applied.

        Raises DefinitionError for a transform that returns another expression each time.
        """
        return self._meaning(None)

    def remember(self, applied: FeatureView) -> None:
        """Take over the applied meaning if one run of the transform gives it, to save `meaning` the second run."""
        if self.transform is not None and applied.meaning is not None and "meaning" not in vars(self):
            vars(self)["meaning"] = self._meaning(applied.meaning)

    def meaning_of_one_run(self) -> Meaning | None:
        """The meaning from one run of the transform. Takes half the time, but does not detect a varying transform."""
        return vars(self)["meaning"] if "meaning" in vars(self) else self._meaning(None, once=True)

    def _meaning(self, applied: Meaning | None, *, once: bool = False) -> Meaning | None:
        if self.transform is None:
            return self.applied_meaning
        from amora_fs_assets.domain.identity.compiled import meaning_of

        return meaning_of(str(self), self.transform, self.sources, INTERVAL_PARAMETER, applied=applied, once=once)

    @property
    def whole(self) -> FeatureViewProjection:
        """A projection of all features, under the view's own name."""
        return FeatureViewProjection(self, tuple(feature.name for feature in self.features))

    def with_id(self, view_id: str) -> FeatureView:
        """A copy of the view with this `view_id`, which identifies one life of the view's name in the registry."""
        view = copy(self)
        vars(view)["view_id"] = view_id
        return view

    def __getitem__(self, names: str | tuple[str, ...]) -> FeatureViewProjection:
        """Pick features: `view["a", "b"]`. Raises FeatureNotFound."""
        return self.whole[names]

    def alias(self, name: str, join_keys: Mapping[str, str] | None = None) -> FeatureViewProjection:
        """All features under another name. `join_keys` maps join keys to other columns: `{"airport": "origin"}`."""
        return self.whole.alias(name, join_keys)

    def interval(self, clock: datetime) -> Interval:
        """The interval that the view covers: from `start` to the clock."""
        start = self.start or clock
        return Interval(start, max(start, clock))


def feature_view(
    *,
    schema: type[FeatureSchema],
    entities: Sequence[Entity] = (),
    sources: Sequence[Source | FeatureView] = (),
    name: str | None = None,
    ttl: timedelta | None = None,
    partitions: PeriodName | Period | None = Period.DAY,
    start: Instant | None = None,
    lookback: timedelta = timedelta(0),
    table_partitions: TablePeriodName | Period = Period.DAY,
    description: str = "",
    owner: str = "",
    tags: Mapping[str, str] | None = None,
) -> Callable[[Transform], FeatureView]:
    """Make a feature view from the decorated transform. FeatureView documents the arguments.

    Each parameter of the transform has the name of a source, and receives an Ibis table with the source's rows of the
    interval and the lookback. A parameter named `interval` receives the interval. The transform returns the rows of the
    interval as an Ibis expression.
    """

    def decorate(transform: Transform) -> FeatureView:
        return FeatureView(
            name=name_of(transform, "Feature view") if name is None else name,
            schema=schema,
            entities=entities,
            sources=sources,
            transform=transform,
            ttl=ttl,
            partitions=partitions,
            start=start,
            lookback=lookback,
            table_partitions=table_partitions,
            description=description,
            owner=owner,
            tags=tags,
        )

    return decorate
