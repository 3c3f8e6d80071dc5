"""The text of a new definition, based on existing definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.types import DataType

_PYTHON = {
    DataType.INT64: "int", DataType.FLOAT64: "float", DataType.STRING: "str", DataType.BOOLEAN: "bool",
    DataType.TIMESTAMP: "Timestamp", DataType.DATE: "datetime.date", DataType.BYTES: "bytes",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """The location of a definition: a variable of a module."""

    module: str
    attribute: str

    @property
    def name(self) -> str:
        """The definition's name in the text of another module."""
        return f"{self.module.rpartition('.')[2]}.{self.attribute}"


def class_name(name: str) -> str:
    """The class of a definition's columns: `big_spenders` -> `BigSpenders`."""
    return "".join(part.capitalize() for part in name.split("_"))


def view_text(name: str, source: Source, source_at: Place, entity: Entity, entity_at: Place) -> str:
    """A view that counts a source's rows by entity and day. Raises InvalidRequest for an unsuitable source."""
    types = {column.name: column.type for column in source.columns}
    lacking = [key for key in entity.join_keys if key not in types]
    if lacking or source.timestamp_field is None:
        why = f"has no column {lacking}" if lacking else "has no timestamp_field"
        raise InvalidRequest(
            f"Source '{source.name}' {why}, so its rows cannot be counted by entity '{entity.name}' and day. "
            "Give another source (--source) or entity (--entity)."
        )
    described = entity.description or entity.name
    keys = "".join(f'    {key}: {_PYTHON[types[key]]} = Field(description="{described}")\n' for key in entity.join_keys)
    by = ", ".join(f'"{key}"' for key in entity.join_keys)
    return f'''"""Rows of `{source.name}` by {entity.name} and day."""

from datetime import timedelta

import ibis
from amora_fs_assets import FeatureSchema, Field, feature_view
from ibis.expr.types import Table

{_imports(entity_at, source_at)}


class {class_name(name)}(FeatureSchema):
    """One row per {entity.name} and day, at the end of the day."""

{keys}    count: int = Field(ge=1, description="Rows of the day [count].")


@feature_view(
    schema={class_name(name)},
    entities=[{entity_at.name}],
    sources=[{source_at.name}],
    partitions="month",
    start="2026-01-01",
    lookback=timedelta(days=1),  # a day's row has the time of the day's end
)
def {name}({source.name}: Table) -> Table:
    """Count the rows of each {entity.name} and day."""
    end_of_day = {source.name}.{source.timestamp_field}.truncate("D") + ibis.interval(days=1)
    return {source.name}.group_by({by}, event_timestamp=end_of_day).aggregate(count={source.name}.count())
'''


def service_text(name: str, views: Sequence[tuple[FeatureView, Place]]) -> str:
    """A service of all features of the views."""
    listed = ", ".join(place.name for _, place in views)
    return f'''"""The features of one model."""

from amora_fs_assets import FeatureService

{_imports(*(place for _, place in views))}

{name} = FeatureService("{name}", [{listed}], description="The output of the model.")
'''


def training_set_text(name: str, service: FeatureService, service_at: Place, source: Source, source_at: Place) -> str:
    """A training set with a row for each row of a source. Raises InvalidRequest for a source that lacks a key."""
    columns = {column.name for column in source.columns}
    lacking = [key for key in service.join_keys if key not in columns]
    if lacking or source.timestamp_field is None:
        why = f"has no column {lacking}" if lacking else "has no timestamp_field"
        raise InvalidRequest(
            f"Source '{source.name}' {why}, which service '{service.name}' needs. Give another source (--source)."
        )
    label = next((c.name for c in source.columns if c.type in (DataType.FLOAT64, DataType.INT64, DataType.BOOLEAN)
                  and c.name not in service.join_keys), None)  # fmt: skip
    keys = ", ".join(f'"{key}"' for key in service.join_keys)
    keys = f"{keys}, " if keys else ""
    labelled = f", label={source.name}.{label}" if label else ""
    return f'''"""A training set: labels with the features of `{service.name}` at the time of each label."""

from amora_fs_assets import training_set
from ibis.expr.types import Table

{_imports(service_at, source_at)}


@training_set(service={service_at.name}, sources=[{source_at.name}])
def {name}({source.name}: Table) -> Table:
    """Every row of `{source.name}`, at its time. Choose the label that the model shall predict."""
    return {source.name}.select({keys}event_timestamp={source.name}.{source.timestamp_field}{labelled})
'''


def source_text(name: str, columns: Sequence[Column], timestamp: str, file: str = "") -> str:
    """A source over a file in the package's data/, or over the external table `raw.<name>`."""
    fields = "".join(
        f'    {c.name}: {_PYTHON[c.type]} = Field({"nullable=True, " if c.nullable else ""}description="{c.name}")\n'
        for c in columns
    )
    head = "import datetime\n\n" if any(column.type is DataType.DATE for column in columns) else ""
    loader = given = after = ""
    if file:
        module, read = ("csv", "csv.read_csv") if file.endswith(".csv") else ("parquet", "parquet.read_table")
        head = f"{head.rstrip()}\nfrom pathlib import Path\n\nimport pyarrow as pa\n".lstrip()
        after = f"from pyarrow import {module}\n"
        loader = (
            f'\n\ndef load_{name}() -> pa.Table:\n    """Read the rows of the file."""\n'
            f'    return {read}(Path(__file__).parent / "data" / "{file}")\n'
        )
        given = f", loader=load_{name}"
    return f'''"""The source `{name}`."""

{head}from amora_fs_assets import Field, Source, SourceSchema, Timestamp
{after}

class {class_name(name)}(SourceSchema):
    """Describe a row here."""

{fields}{loader}

{name} = Source("{name}", {class_name(name)}, timestamp_field="{timestamp}"{given})
'''


def _imports(*places: Place) -> str:
    """The import statements, one per package."""
    modules: dict[str, set[str]] = {}
    for place in places:
        package, _, module = place.module.rpartition(".")
        modules.setdefault(package, set()).add(module)
    return "\n".join(f"from {package} import {', '.join(sorted(found))}" for package, found in sorted(modules.items()))
