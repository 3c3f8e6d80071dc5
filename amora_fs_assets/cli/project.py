"""amora-fs init and new: create a project, and add definitions to it."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from amora_fs_assets.cli.shared import examples, explained
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.project import nearest
from amora_fs_assets.scaffold.project import check_module_name, write_project
from amora_fs_assets.settings import Settings, missing_definitions

if TYPE_CHECKING:
    from amora_fs_assets.domain.catalogue import Catalogue
    from amora_fs_assets.scaffold.additions import Place


@click.command(epilog=examples("init shop_features"))
@click.argument("name")
@explained
def init(name: str) -> None:
    """Create a working project NAME in a new folder of the working directory.

    It has a file of orders, an entity, a source, a feature view, a service, a training set and a test.
    """
    folder = Path(name)
    for file in write_project(folder, name):
        click.echo(f"  {folder / file}")
    click.echo(
        f"\nCreated {folder}. Next steps:\n\n  cd {folder}\n  amora-fs apply\n  amora-fs compute\n"
        "  amora-fs materialize-incremental\n  amora-fs status"
    )


@click.group(
    epilog=examples(
        "new source payments --file payments.csv --timestamp paid_at",
        "new view payment_counts --source payments --entity customer",
        "new service payments --views payment_counts",
        "new training-set paid --service payments --source payments",
    )
)
def new() -> None:
    """Add a definition to the project of the working directory."""


_SOURCE = click.option("--source", help="Source to read; by default the first suitable source.")


@new.command(epilog=examples("new view payment_counts --source payments --entity customer"))
@click.argument("name")
@_SOURCE
@click.option("--entity", help="Entity that the features describe; by default the first suitable entity.")
@explained
def view(name: str, source: str | None, entity: str | None) -> None:
    """Add a feature view that counts rows by entity and day, as a start."""
    from amora_fs_assets.scaffold.additions import view_text

    here = _Project()
    entities = [here.one("entities", entity)] if entity else list(here.code.entities.values())
    sources = [here.one("sources", source)] if source else list(here.code.sources.values())
    if not entities or not sources:
        raise InvalidRequest("A view needs an entity and a source. Add a source: `amora-fs new source NAME`.")
    refusal: InvalidRequest | None = None
    for each in sources:
        for of in entities:
            try:
                text = view_text(name, each, here.place(each), of, here.place(of))
            except InvalidRequest as error:
                refusal = refusal or error
                continue
            here.write(name, name, "feature_views", text)
            return
    assert refusal is not None, "each pair was refused"
    raise refusal


@new.command(epilog=examples("new source payments --file payments.csv --timestamp paid_at"))
@click.argument("name")
@click.option("--file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A .csv or .parquet file.")
@click.option("--timestamp", help="Column with the time of a row; by default the first timestamp column.")
@explained
def source(name: str, file: Path | None, timestamp: str | None) -> None:
    """Add a source: a file, which is copied into the project, or an external table."""
    from amora_fs_assets.domain.column import Column
    from amora_fs_assets.domain.types import DataType
    from amora_fs_assets.scaffold.additions import source_text

    here = _Project()
    columns = [Column("at", DataType.TIMESTAMP)] if file is None else _columns(file)
    times = [column.name for column in columns if column.type is DataType.TIMESTAMP]
    timestamp = timestamp or next(iter(times), None)
    if timestamp not in times:
        what = f"has no timestamp column '{timestamp}'" if timestamp else "has no timestamp column"
        raise InvalidRequest(
            f"{file} {what}. Timestamp columns: {times or 'none'}. Write times as 2026-01-31T10:15:00Z, and give a "
            "column with --timestamp."
        )
    text = source_text(name, columns, timestamp, file.name if file else "")
    here.write(name, f"{name}_source", "sources", text)
    if file is not None:
        target = here.folder / "data" / file.name
        target.parent.mkdir(exist_ok=True)
        if file.resolve() != target.resolve():
            shutil.copyfile(file, target)


@new.command(epilog=examples("new service payments --views payment_counts,customer_orders"))
@click.argument("name")
@click.option("--views", default="", help="Feature views, comma-separated; by default all.")
@explained
def service(name: str, views: str) -> None:
    """Add a service with all features of some views."""
    from amora_fs_assets.scaffold.additions import service_text

    here = _Project()
    picked = [here.one("feature_views", each.strip()) for each in views.split(",") if each.strip()]
    picked = picked or list(here.code.feature_views.values())
    if not picked:
        raise InvalidRequest("A service needs a feature view. Add one: `amora-fs new view NAME`.")
    here.write(name, f"{name}_service", "feature_services", service_text(name, [(v, here.place(v)) for v in picked]))


@new.command("training-set", epilog=examples("new training-set paid --service payments --source payments"))
@click.argument("name")
@click.option("--service", help="Service with the features; by default the first service.")
@_SOURCE
@explained
def training_set(name: str, service: str | None, source: str | None) -> None:
    """Add a training set with a row for each row of a source."""
    from amora_fs_assets.scaffold.additions import training_set_text

    here = _Project()
    if not here.code.feature_services or not here.code.sources:
        raise InvalidRequest("A training set needs a service and a source. Add one: `amora-fs new service NAME`.")
    of = here.one("feature_services", service or next(iter(here.code.feature_services)))
    read = here.one("sources", source or next(iter(here.code.sources)))
    here.write(name, name, "training_sets", training_set_text(name, of, here.place(of), read, here.place(read)))


class _Project:
    """The project of the working directory."""

    def __init__(self) -> None:
        from amora_fs_assets.operations.registry.apply import collect

        project = nearest()
        given = click.get_current_context().find_root().params.get("definitions")
        self.package: str = given or Settings.from_env().definitions or missing_definitions()
        for folder in (str(project.folder), ""):
            sys.path.insert(0, folder)
        self.code: Catalogue = collect(self.package)
        file = sys.modules[self.package].__file__
        if file is None or Path(file).name != "__init__.py":
            raise InvalidRequest(f"{self.package} is a module. `new` adds files to a package, which is a folder.")
        self.folder = Path(file).parent

    def one(self, kind: str, name: str) -> Any:
        """The definition of that name. Raises InvalidRequest."""
        known = getattr(self.code, kind)
        if name not in known:
            names = ", ".join(known) or "none"
            raise InvalidRequest(f"There is no {kind.replace('_', ' ').rstrip('s')} '{name}'. Known: {names}.")
        return known[name]

    def place(self, definition: object) -> Place:
        """The module and variable of the definition. Raises InvalidRequest for a definition without a variable."""
        from amora_fs_assets.scaffold.additions import Place

        modules = [name for name in sys.modules if name == self.package or name.startswith(f"{self.package}.")]
        for module in sorted(modules, key=len, reverse=True):
            for attribute, value in vars(sys.modules[module]).items():
                if value is definition and attribute.isidentifier() and _defines(module, attribute):
                    return Place(module, attribute)
        raise InvalidRequest(
            f"{definition} is not a variable of a module in {self.package}. Assign the definition to a variable."
        )

    def write(self, name: str, module: str, kind: str, text: str) -> None:
        """Write the file and print its path. Raises InvalidRequest for a name in use."""
        check_module_name(name)
        file = self.folder / f"{module}.py"
        if name in getattr(self.code, kind) or file.exists():
            raise InvalidRequest(f"'{name}' or {file} exists already. Give another name.")
        file.write_text(text)
        click.echo(f"Created {file}. Adapt the file, then run `amora-fs plan`.")


def _defines(module: str, attribute: str) -> bool:
    """Whether the module defines the variable, instead of importing it."""
    file = sys.modules[module].__file__
    text = Path(file).read_text() if file else ""
    return bool(re.search(rf"^(?:def {attribute}\b|{attribute}\s*(?::[^=]*)?=)", text, re.MULTILINE))


def _columns(file: Path) -> list[Any]:
    """The columns of a file as a source's columns. Raises InvalidRequest for an unsupported type."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    from amora_fs_assets.domain.column import Column
    from amora_fs_assets.domain.types import DataType

    if file.suffix not in (".csv", ".parquet"):
        raise InvalidRequest(f"{file} is neither a .csv nor a .parquet file.")
    table: Any = csv.read_csv(file) if file.suffix == ".csv" else parquet.read_table(file)
    tests = (
        (pa.types.is_boolean, DataType.BOOLEAN), (pa.types.is_integer, DataType.INT64),
        (pa.types.is_floating, DataType.FLOAT64), (pa.types.is_timestamp, DataType.TIMESTAMP),
        (pa.types.is_date, DataType.DATE), (pa.types.is_string, DataType.STRING),
        (pa.types.is_large_string, DataType.STRING), (pa.types.is_null, DataType.STRING),
    )  # fmt: skip
    columns = []
    for field in table.schema:
        kind = next((type_ for test, type_ in tests if test(field.type)), None)
        if kind is None:
            raise InvalidRequest(f"{file}: column '{field.name}' is {field.type}, which a source cannot have.")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", field.name):
            raise InvalidRequest(f"{file}: '{field.name}' is not a valid column name. Rename the column.")
        columns.append(Column(field.name, kind, nullable=table[field.name].null_count > 0))
    return columns


COMMANDS = (init, new)
