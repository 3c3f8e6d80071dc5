"""amora-fs get-online, get-historical: feature values on the terminal and in files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from amora_fs_assets.cli.rendering.tables import print_json
from amora_fs_assets.cli.shared import examples, explained, time
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.names import EVENT_TIMESTAMP
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.feature_store import FeatureStore
from amora_fs_assets.operations.online.json_keys import json_key
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.files import writing

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

_FORMATS = ("csv", "parquet")
_FEATURES = click.argument("features", nargs=-1, required=True)
_OUTPUT = click.option(
    "--output", metavar="FILE", help="Write a .csv or .parquet file, local or gs://; by default CSV to the terminal."
)
_NAMES = click.option("--full-feature-names", is_flag=True, help="Name the columns <view>__<feature>.")


@click.command(
    "get-online",
    epilog=examples(
        "get-online carrier_punctuality --entity carrier=UA --entity carrier=AA",
        "get-online carrier_punctuality:mean_delay_24h --entities carriers.csv --output features.parquet",
    ),
)
@_FEATURES
@click.option(
    "--entity",
    "entities",
    multiple=True,
    metavar="KEY=VALUE,...",
    help="The join keys and request columns of one entity; several times.",
)
@click.option(
    "--entities", "file", metavar="FILE", help="A .csv or .parquet file with the join keys and request columns."
)
@_OUTPUT
@_NAMES
@click.option("--event-timestamps", is_flag=True, help="Add <feature>__ts, the time from which each value holds.")
@click.option("--json", "as_json", is_flag=True, help="Values and statuses, for programs.")
@click.pass_obj
@explained
def get_online(
    store: FeatureStore,
    features: Sequence[str],
    entities: Sequence[str],
    file: str | None,
    output: str | None,
    full_feature_names: bool,  # noqa: FBT001
    event_timestamps: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show the newest values of FEATURES for entities.

    FEATURES is a service, a feature view, or references view:feature. Keys are given by --entity or --entities.
    """
    if bool(entities) == bool(file):
        raise click.UsageError("Give either --entity or --entities.")
    if as_json and output:
        raise click.UsageError("Give either --json or --output.")
    asked = _asked(features)
    types = _types(store, asked)
    rows: Any = _read(file, types) if file else [_entity(text, types) for text in entities]
    response = store.get_online_features(asked, rows, full_feature_names)
    if as_json:
        columns = {name: [_plain(value) for value in values] for name, values in response.to_dict().items()}
        print_json({"values": columns, "statuses": dict(response.statuses)})
        return
    _write(response.to_arrow(event_timestamps), output, store.settings)


@click.command(
    "get-historical",
    epilog=examples(
        "get-historical departure_delay --entities flights.parquet --output training.parquet",
        "get-historical carrier_punctuality --start 2013-01-01 --end 2013-02-01 --output january.csv",
    ),
)
@_FEATURES
@click.option("--entities", "file", metavar="FILE", help="A .csv or .parquet file: join keys, event_timestamp, others.")
@click.option("--start", type=time, help="Without --entities: every row of the views from this time on.")
@click.option("--end", type=time, help="Without --entities: every row of the views before this time.")
@_OUTPUT
@_NAMES
@click.option("--known-time", is_flag=True, help="A row counts only from its created_timestamp on.")
@click.pass_obj
@explained
def get_historical(
    store: FeatureStore,
    features: Sequence[str],
    file: str | None,
    start: datetime | None,
    end: datetime | None,
    output: str | None,
    full_feature_names: bool,  # noqa: FBT001
    known_time: bool,  # noqa: FBT001
) -> None:
    """Join entity rows with the values of FEATURES at their event_timestamp.

    FEATURES is a service, a feature view, or references view:feature. Without --entities the result has every row of
    the views from --start to --end; one of the two may be left out.
    """
    if (file is None) == (start is None and end is None):
        raise click.UsageError("Give either --entities, or --start or --end.")
    asked = _asked(features)
    rows = None if file is None else _read(file, _types(store, asked))
    found = store.get_historical_features(
        features=asked,
        entity_df=rows,
        full_feature_names=full_feature_names,
        known_time=known_time,
        start=start,
        end=end,
    )
    if output and _format(output) == "parquet":
        click.echo(f"{found.to_parquet(output):,} rows written to {output}", err=True)
    else:
        _write(found.to_arrow(), output, store.settings)


def _asked(features: Sequence[str]) -> Any:
    """The name of a service or view, or a list of references."""
    names = [name for part in features for name in part.split(",") if name]
    return names[0] if len(names) == 1 and ":" not in names[0] else names


def _types(store: FeatureStore, features: Any) -> dict[str, DataType]:
    """The types of the join keys and request columns."""
    service = store.registry.catalogue().resolve(features) if isinstance(features, list) else (
        store.get_feature_service(features)
    )  # fmt: skip
    return service.request | {
        name: column.type
        for each in service.reads
        for name, column in zip(each.join_keys, each.view.key_columns, strict=True)
    }


def _entity(text: str, types: dict[str, DataType]) -> dict[str, Any]:
    """The join keys and request columns of `KEY=VALUE,...`. A comma in a value needs a file."""
    row: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise click.BadParameter(f"{part!r} is not KEY=VALUE.", param_hint="--entity")
        name = name.strip()
        if name in row:
            raise click.BadParameter(
                f"{text!r} has '{name}' twice. Give --entity for each entity.", param_hint="--entity"
            )
        row[name] = _value(name, value, types.get(name, DataType.STRING))
    return row


def _value(name: str, value: str, type_: DataType) -> Any:
    try:
        match type_:
            case DataType.FLOAT64:
                return float(value)
            case DataType.BOOLEAN:
                return {"true": True, "false": False}[value.lower()]
            case _:  # other types are read from their text
                return json_key(type_, value)
    except (TypeError, ValueError, KeyError):
        raise click.BadParameter(f"{name!r} takes {type_}, not {value!r}.", param_hint="--entity") from None


def _format(path: str) -> str:
    """The format of a file, by the end of its name."""
    suffix = path.rpartition(".")[2].lower()
    if suffix not in _FORMATS:
        raise click.UsageError(f"{path} is neither a .csv nor a .parquet file.")
    return suffix


def _read(path: str, types: dict[str, DataType]) -> pa.Table:
    """The rows of a file, with join keys, request columns and times in the types of the request."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    from amora_fs_assets.domain.arrow import arrow_type
    from amora_fs_assets.domain.time import utc

    kind = _format(path)
    if not Path(path).is_file():
        raise InvalidRequest(f"There is no file {path}.")
    try:
        if kind == "parquet":
            return parquet.read_table(path)
        times = {EVENT_TIMESTAMP, *(name for name, type_ in types.items() if type_ is DataType.TIMESTAMP)}
        read = {name: arrow_type(type_) for name, type_ in types.items()} | dict.fromkeys(times, pa.string())
        rows = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=read))
    except pa.ArrowException as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error
    for name in times.intersection(rows.column_names):
        instants = [utc(text, name) if text else None for text in rows[name].to_pylist()]
        column = pa.array(instants, arrow_type(DataType.TIMESTAMP))
        rows = rows.set_column(rows.column_names.index(name), name, column)
    return rows


def _write(rows: pa.Table, path: str | None, settings: Settings) -> None:
    from amora_fs_assets.cli.rendering.csv import write_csv
    from amora_fs_assets.operations.frames import write_parquet

    if path and _format(path) == "parquet":
        write_parquet(rows.schema, rows.to_batches(), writing(path, settings))
    else:
        file: AbstractContextManager[IO[bytes]] = writing(path, settings) if path else nullcontext(sys.stdout.buffer)
        with file as target:
            write_csv(rows.to_batches(), rows.schema.names, target)
            target.flush()
    if path:
        click.echo(f"{rows.num_rows:,} rows written to {path}", err=True)


def _plain(value: Any) -> Any:
    from amora_fs_assets.cli.rendering.csv import plain

    return plain(value)


COMMANDS = (get_online, get_historical)
