"""Does to a real feature store what a history says: one method for each operation, plain data in and out."""

from __future__ import annotations

import importlib.util
import sys
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.errors import FeatureStoreError
from amora_fs_assets.operations.training.build import TrainingSetBuild
from amora_fs_assets_tests.soak.definitions import source_text
from amora_fs_assets_tests.soak.world import SOURCES, TRAINING_SET, Row, Views

_ARROW = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}


class Executor:
    """A process' own feature store, in the home that all share. `now` is a fixed clock, or None for the running one."""

    def __init__(self, home: Path, now: datetime | None = None, **settings: Any) -> None:
        self.home = home
        self.store = FeatureStore(Settings(home=home, now=now, **settings))

    def move(self, home: Path) -> None:
        """Go on in another home, where nothing has happened yet."""
        self.close()
        self.__init__(home, self.store.settings.now)  # type: ignore[misc]

    def set_clock(self, now: datetime) -> None:
        """Go on with another fixed clock, in the same process with what it knows."""
        self.store.settings = replace(self.store.settings, now=now)

    def close(self) -> None:
        """Give everything back."""
        self.store.close()

    def use(self, views: Views) -> None:
        """Have this code: what `plan`, `apply` and `compute` read from now on."""
        folder = self.home / "code"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"soak_{uuid.uuid4().hex}.py"
        path.write_text(source_text(views))
        spec = importlib.util.spec_from_file_location("soak_definitions", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["soak_definitions"] = module
        spec.loader.exec_module(module)
        # As in a process that reloads its code: its connections stay, and what it knows of the catalogue.
        self.store._given = module
        with suppress(AttributeError):  # it was not collected yet
            del self.store.code

    def apply(self, views: Views, *, prune: bool = False) -> list[str]:
        """Apply the views; the features that the registry has then."""
        self.use(views)
        self.store.apply(allow_breaking=True, prune=prune)
        return self.features()

    def features(self) -> list[str]:
        """All features of the registry, as `view:feature`, in order."""
        return [f"{view.name}:{each.name}" for view in self.store.list_feature_views() for each in view.features]

    def plan(self) -> int:
        """How many changes the code would make."""
        return len(self.store.plan().changes)

    def write_sources(self, tables: Mapping[str, tuple[Mapping[int, Any], Sequence[int]]]) -> None:
        """Another system's pipeline: write rows, each with a number, into sources' tables, and delete others."""
        with self.store.offline._open(write=True) as connection:  # type: ignore[attr-defined]
            connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
            for name, (rows, gone) in tables.items():
                types = {"id": "int64", **SOURCES[name].columns}
                columns = {
                    column: pa.array([number if column == "id" else row[column] for number, row in rows.items()],
                                     _ARROW[type_])
                    for column, type_ in types.items()
                }  # fmt: skip
                connection.register("given", pa.table(columns))
                connection.register("gone", pa.table({"id": pa.array([*gone, *rows], pa.int64())}))
                connection.execute(f"CREATE TABLE IF NOT EXISTS raw.{name} AS FROM given LIMIT 0")
                connection.execute(f"DELETE FROM raw.{name} WHERE id IN (SELECT id FROM gone)")
                connection.execute(f"INSERT INTO raw.{name} FROM given")

    def compute(self, views: Sequence[str], start: datetime, end: datetime) -> None:
        """Compute [start, end) of the views."""
        self.store.compute(start, end, list(views))

    def load(self, views: Sequence[str], end: datetime | None = None, *, full: bool = False) -> dict[str, Any]:
        """Load incrementally, or everything; the views' states afterwards."""
        self.store.materialize_incremental(end, list(views), full=full)
        return self.states(views)

    def load_window(self, views: Sequence[str], start: datetime, end: datetime) -> dict[str, Any]:
        """Load a window; the views' states afterwards."""
        self.store.materialize(start, end, list(views))
        return self.states(views)

    def empty_redis(self) -> None:
        """Empty the online store, as an administrator may."""
        self.store.online._connection.run(lambda client: client.flushall())  # type: ignore[attr-defined]

    def states(self, views: Sequence[str]) -> dict[str, Any]:
        """What is known of the views online."""
        found = {}
        for name in views:
            state = self.store.online.state(name)
            numbers = [each.number for each in state.generations]
            found[name] = {"live": state.live_number, "pinned": state.pinned, "generations": numbers}
        return found

    def sequence(self, view: str) -> int:
        """The newest publication of a view; 0 where there is none."""
        return max((each.sequence for each in self.store.offline.publications(view)), default=0)

    def push(self, view: str, rows: Sequence[Row], keys: Sequence[str], *, to_offline: bool) -> int:
        """Push rows; how many are served now."""
        return self.store.push(view, [_pushed(row, keys) for row in rows], to_offline=to_offline)

    def rollback(self, view: str) -> int:
        """The generation that readers see after a rollback."""
        return self.store.rollback(view).number

    def unpin(self, view: str) -> int:
        """The generation that readers see again."""
        return self.store.unpin(view).number

    def parity(self, view: str) -> dict[str, Any]:
        """What the store itself says of what it serves."""
        found = self.store.parity(view)
        return {"passed": found.passed, "sampled": found.sampled, "examples": found.examples}

    def online(self, features: Any, entities: dict[str, list[Any]], *, full: bool = False) -> dict[str, Any]:
        """Values and statuses by feature."""
        response = self.store.get_online_features(features, entities, full)
        return {"values": response.to_dict(), "statuses": dict(response.statuses)}

    def historical(self, features: Any, spine: dict[str, list[Any]], *, known_time: bool = False) -> list[Any]:
        """The spine's rows with their features."""
        types = {"customer": "int64", "device": "int64", "shop": "string", "event_timestamp": "timestamp"}
        given = pa.table({name: pa.array(values, _ARROW[types[name]]) for name, values in spine.items()})
        rows = self.store.get_historical_features(features, given, True, known_time).to_arrow().to_pylist()
        return list(rows)

    def table(self, view: str, start: datetime, end: datetime) -> list[Any]:
        """Every row of a view in [start, end)."""
        return list(self.store.get_historical_features(view, start=start, end=end).to_arrow().to_pylist())

    def build_training_set(self) -> str:
        """Build a version, as its asset does; its name."""
        now = self.store.settings.clock()
        code = self.store.code.training_set(TRAINING_SET)
        offline, registry = self.store.offline, self.store.registry
        run_id = f"soak-{uuid.uuid4()}"
        build = TrainingSetBuild(code, store=offline, registry=registry, run_id=run_id, now=lambda: now)
        build.stage(registry.catalogue())
        return str(build.publish().details["version"])

    def versions(self) -> list[str]:
        """The versions of the training set that are there."""
        return list(self.store.registry.manifests(TRAINING_SET))

    def load_training_set(self, version: str) -> list[Any]:
        """The rows of a version."""
        rows = self.store.load_training_set(TRAINING_SET, version, as_type="arrow").to_pylist()
        return list(rows)

    def now(self) -> datetime:
        """By the clock of this process."""
        return datetime.now(UTC)


def _pushed(row: Row, keys: Sequence[str]) -> dict[str, Any]:
    created = {} if row.created is None else {"created_timestamp": row.created}
    return dict(zip(keys, row.key, strict=True)) | {"event_timestamp": row.at} | created | dict(row.values)


def answered(executor: Executor, command: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    """What came of an operation: ("done", its answer), or ("refused", the class and words of the store's own error)."""
    try:
        return "done", getattr(executor, command)(**arguments)
    except FeatureStoreError as error:
        return "refused", (type(error).__name__, str(error))
