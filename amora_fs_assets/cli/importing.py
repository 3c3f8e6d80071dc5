"""amora-fs import-feast: a project from the definitions of a Feast repository."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import click

from amora_fs_assets.cli.shared import examples, explained
from amora_fs_assets.domain.errors import DefinitionError, InvalidRequest
from amora_fs_assets.scaffold.feast import names
from amora_fs_assets.scaffold.project import check_module_name
from amora_fs_assets.settings import Settings

REPORT = "IMPORTED.md"


@click.command(
    "import-feast",
    epilog=examples(
        "import-feast feature_repo",
        "import-feast feature_repo --output shop_features --python ~/feast/.venv/bin/python",
        "import-feast gs://team-features/registry.db",
    ),
)
@click.argument("path")
@click.option(
    "--output", type=click.Path(path_type=Path), help="New folder for the project; by default the Feast project's name."
)
@click.option("--project", help="Feast project; needed if a registry has several.")
@click.option(
    "--python",
    metavar="INTERPRETER",
    help="Python interpreter of the environment that has Feast; by default this environment's.",
)
@explained
def import_feast(path: str, output: Path | None, project: str | None, python: str | None) -> None:
    """Write a project with the definitions of a Feast repository or registry.

    PATH is a folder with feature_store.yaml, whose code runs, or a registry.db, local or gs://. Views read the same
    tables and files as in Feast. A report, also in IMPORTED.md, says which names changed and what has no counterpart.
    If anything fails, nothing is written.
    """
    with tempfile.TemporaryDirectory() as folder:
        place, answer = _read(path, Path(folder), python)
    target, files, report = write(answer, place, output, project, origin=path)
    for file in sorted(files):
        click.echo(f"  {target / file}")
    click.echo(f"\nWrote {target}.")
    if report:
        click.echo(f"\n{report}")
    click.echo(
        f"\nNext steps:\n\n  cd {target}\n  amora-fs apply\n  amora-fs materialize-incremental\n  amora-fs status"
    )


def write(
    answer: dict[str, Any], place: Path, output: Path | None, project: str | None, *, origin: str
) -> tuple[Path, list[str], str]:
    """Write the project of an answer of Feast; return its folder, its files and the report.

    Args:
        answer: What stores/registry/feast_reader.py returns.
        place: The folder from which Feast's relative paths start.
        output: The folder to write; by default named after the Feast project.
        project: The Feast project; needed if the registry has several.
        origin: What was read, for the report.

    Raises:
        InvalidRequest: the registry cannot be imported or the folder cannot be written. Nothing was written.

    """
    from amora_fs_assets.scaffold.feast.convert import Conversion, Registry
    from amora_fs_assets.scaffold.feast.text import project_files

    registry = Registry(answer, project)
    target = output or Path(names.snake(registry.project))
    package = check_module_name(target.absolute().name)
    if target.exists():
        raise InvalidRequest(f"{target} exists already. Give another folder with --output. Nothing was written.")
    conversion = Conversion(registry, lambda uri: _path(uri, place, target), lambda uri: _stored(place, uri))
    files = project_files(conversion.run(), package, registry.description)
    files[REPORT] = conversion.report.markdown(f"project `{registry.project}` of {origin}")
    _write(files, target, package)
    return target, list(files), conversion.report.text()


def _read(path: str, folder: Path, python: str | None) -> tuple[Path, dict[str, Any]]:
    """The folder from which relative paths start, and the answer of Feast. `folder` is for a downloaded registry."""
    from amora_fs_assets.stores.registry.feast_reader import read

    if path.startswith("gs://"):
        return Path.cwd(), read(_downloaded(path, folder), python=python)
    place = Path(path).expanduser()
    answer = read(place, python=python)
    if place.is_dir() and not answer["registry"].get("featureViews"):  # a repository for clients, without code
        given = answer["config"].get("registry", "data/registry.db")
        applied = str(given.get("path", "") if isinstance(given, dict) else given)
        if applied.startswith("gs://"):
            found = _downloaded(applied, folder)
        else:
            found = place / applied
        if found.is_file():
            return place, {**read(found, python=python), "config": answer["config"]}
    if place.is_dir():
        return place, answer
    above = (each for each in place.absolute().parents if (each / "feature_store.yaml").is_file())
    return next(above, place.absolute().parent), answer


def _downloaded(url: str, folder: Path) -> Path:
    """A copy of a registry in a bucket."""
    from amora_fs_assets.stores.open import open_objects

    parent, _, name = url.rpartition("/")
    stored = open_objects(Settings(registry=parent)).read(name)
    if stored is None:
        raise InvalidRequest(f"There is no {url}. Give the path of a registry.db.")
    copy = folder / "registry.db"
    copy.write_bytes(stored.data)
    return copy


def _path(uri: str, place: Path, target: Path) -> str:
    """The path for the definitions. A relative path starts at the folder of the project, in Feast at the repository."""
    if "://" in uri or Path(uri).is_absolute():
        return uri
    return os.path.relpath(place.absolute() / uri, target.absolute())


def _stored(place: Path, uri: str) -> dict[str, Any]:
    """The Arrow types of the columns of a local Parquet file; empty for any other file."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return {field.name: field.type for field in parquet.read_schema(place / uri.removeprefix("file://"))}
    except (OSError, pa.ArrowException):
        return {}


def _write(files: dict[str, str], target: Path, package: str) -> None:
    """Write the files beside the target, load the definitions, and rename. Raises InvalidRequest."""
    if importlib.util.find_spec(package) is not None:
        raise InvalidRequest(
            f"'{package}' is the name of an installed package. Give another folder with --output. Nothing was written."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        for name, text in files.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        _load(folder, package)
        folder.chmod(0o777 & ~_umask())
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _load(folder: Path, package: str) -> None:
    """Raise InvalidRequest for definitions that cannot be loaded."""
    from amora_fs_assets.operations.registry.apply import collect

    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    sys.path.insert(0, str(folder))
    try:
        collect(package)
    except DefinitionError as error:
        raise InvalidRequest(
            f"The definitions do not fit together: {error} Change this in Feast. Nothing was written."
        ) from error
    finally:
        sys.path.remove(str(folder))
        sys.dont_write_bytecode = bytecode
        for module in [each for each in sys.modules if each == package or each.startswith(f"{package}.")]:
            del sys.modules[module]


def _umask() -> int:
    os.umask(current := os.umask(0))
    return current


COMMANDS = (import_feast,)
