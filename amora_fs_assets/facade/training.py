"""Historical features, and the stored versions of training sets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Literal, get_args

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.catalogue import Features
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.domain.time import Instant, utc, wall_clock
from amora_fs_assets.facade.historical_request import request
from amora_fs_assets.facade.stores import Stores
from amora_fs_assets.lazy import Lazy

if TYPE_CHECKING:
    import pyarrow as pa

    import amora_fs_assets.building as building
    from amora_fs_assets.operations.training.historical import HistoricalFeatures
    from amora_fs_assets.operations.training.retention import Pruning
else:
    building = Lazy("amora_fs_assets.building")

LoadedAs = Literal["pandas", "arrow", "polars", "batches"]


class Training(Stores):
    """The methods of FeatureStore that read features at past times, and training sets."""

    def get_historical_features(
        self,
        first: Features | Any = None,
        second: Features | Any = None,
        /,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002  (Feast's signature)
        known_time: bool | Instant | None = False,  # noqa: FBT001, FBT002
        end_date: Instant | None = None,
        filter_by_created_timestamp: bool = False,  # noqa: FBT001, FBT002
        *,
        features: Features | None = None,
        entity_df: Any = None,
        start_date: Instant | None = None,
        start: Instant | None = None,
        end: Instant | None = None,
    ) -> HistoricalFeatures:
        """The features at each row's event_timestamp, as a lazy result: `.to_df()`, `.to_arrow()`, `.to_table(name)`.

        The first two arguments are `features` and `entity_df`, and may be given by name. The result has all rows and
        columns of `entity_df`; rows of a frame keep their order. Without `entity_df`: every row of the views in
        [start, end), or in [start_date, end_date] with Feast's words. Either side may be left out: then from the first
        row, or up to the clock. With `known_time`, in Feast `filter_by_created_timestamp`, a row counts only from its
        created_timestamp. Arguments may also be in Feast's order: entity_df, features, full_feature_names, start_date,
        end_date, filter_by_created_timestamp. Raises InvalidRequest and NotFound errors.
        """
        asked = request(
            first, second, full_feature_names, known_time, end_date, filter_by_created_timestamp, features=features,
            entity_df=entity_df, start_date=start_date, start=start, end=end, clock=self.settings.clock(),
        )  # fmt: skip
        catalogue = self.registry.catalogue()
        return building.historical_features(
            self._resolve(asked.features, catalogue),
            asked.entity_df,
            store=self.offline,
            full_feature_names=asked.full_feature_names,
            known_time=asked.known_time,
            interval=asked.interval,
            owners=building.owners_of(catalogue, self.offline.dataset),
            writing=self._exports.writing,
        )

    def build_training_set(self, name: str, *, run_id: str | None = None) -> RunRecord:
        """Build a version of the code's training set, and return the record of the build.

        Raises TrainingSetNotFound, DefinitionNotApplied, and the errors of its spine and of the stores.
        """
        self._refuse_the_past("build")
        training_set = self.code.training_set(callers.text("name", name))
        return building.build(
            training_set, store=self.offline, registry=self.registry, run_id=run_id or f"training_set-{uuid.uuid4()}"
        )

    def export_for_feast(self, feature_views: Sequence[str] | None = None) -> dict[str, int]:
        """Write the views' rows to the Parquet files that registry.db names; return the number of rows by view.

        For the embedded store, whose tables Feast cannot read; views that were not computed yet are left out. Raises
        FeatureViewNotFound, and InvalidRequest if Feast reads the offline store itself.
        """
        catalogue = self.registry.catalogue()
        names = callers.chosen("feature_views", feature_views, catalogue.feature_views)
        return self._exports.for_feast([catalogue.feature_view(name) for name in names])

    def load_training_set(
        self, name: str, version: str | None = None, *, as_of: Instant | None = None, as_type: LoadedAs = "pandas"
    ) -> Any:
        """The rows of a training set's version: the newest, a named one, or the newest at a past time.

        `as_type` selects a pandas DataFrame, an Arrow table, a polars DataFrame or an iterator of Arrow batches. Raises
        TrainingSetNotFound, and TrainingSetAltered if rows are missing or changed since they were built.
        """
        callers.text("name", name)
        if version is not None:
            callers.text("version", version)
        if as_of is not None:
            as_of = utc(as_of, "as_of")
        if as_type not in get_args(LoadedAs):
            raise InvalidRequest(f"as_type is {as_type!r}; give one of {', '.join(get_args(LoadedAs))}.")
        loaded = building.load(name, version=version, as_of=as_of, store=self.offline, registry=self.registry)
        if as_type == "batches":
            return _batches(loaded)
        with loaded as batches:
            rows = batches.read_all()
        return {"pandas": building.to_pandas, "arrow": lambda table: table, "polars": building.to_polars}[as_type](rows)

    def prune_training_set(self, name: str, *, keep: int, dry_run: bool = True) -> Pruning:
        """Remove the rows of all but the newest `keep` versions of a training set; a dry run only lists the versions.

        Held versions, versions younger than a day, and versions whose table this store did not make are kept. Manifests
        stay. Raises TrainingSetNotFound, InvalidRequest.
        """
        self._refuse_the_past("prune")
        callers.text("name", name)
        callers.whole("keep", keep, least=1)
        now, run_id = wall_clock(), f"prune-{uuid.uuid4()}"  # versions have the time of their build
        return building.prune(
            name, keep=keep, store=self.offline, registry=self.registry, run_id=run_id, now=now, dry_run=dry_run
        )

    def hold_training_set(self, name: str, version: str, because: str) -> None:
        """Protect a version from pruning, such as the version of a model in use. Raises TrainingSetNotFound."""
        self._refuse_the_past("hold")
        for argument, value in (("name", name), ("version", version), ("because", because)):
            callers.text(argument, value)
        building.hold(name, version, because, registry=self.registry, run_id=f"hold-{uuid.uuid4()}")

    def release_training_set(self, name: str, version: str) -> None:
        """End the protection of a version. Raises InvalidRequest if the version is not held."""
        self._refuse_the_past("release")
        callers.text("name", name)
        callers.text("version", version)
        building.release(name, version, registry=self.registry, run_id=f"release-{uuid.uuid4()}")


def _batches(loaded: AbstractContextManager[pa.RecordBatchReader]) -> Iterator[pa.RecordBatch]:
    with loaded as batches:
        yield from batches
