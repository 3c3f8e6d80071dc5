"""FeatureStore: one facade over a reading half (catalogue and Redis) and a building half, loaded when first needed."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import InvalidRequest
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import OfflineStore, OnlineStore, Registry
from amora_fs_assets.domain.records import Publication, Snapshot
from amora_fs_assets.domain.time import Instant, utc
from amora_fs_assets.operations.online import EntityRows, OnlineResponse, online_features
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from amora_fs_assets.operations.historical import HistoricalFeatures
    from amora_fs_assets.operations.history import AsOf
    from amora_fs_assets.operations.materialize import Materialized
    from amora_fs_assets.operations.plan import Plan

DEFINITIONS = "amora_fs_assets.features"
_log = logging.getLogger(__name__)


class FeatureStore:
    """Everything that one does with a feature store, outside Dagster.

    Args:
        settings: Where its parts are; the environment's `AMORA_FS_*` by default.
        definitions: The package or module, or its name, that `plan`, `apply` and `compute` read. Everything else
            reads the registry.
        as_of: Read the definitions as they counted then: at a time, for a run (its id), in a snapshot (its hash).
            Such a store is read only.

    """

    def __init__(
        self,
        settings: Settings | None = None,
        definitions: str | ModuleType = DEFINITIONS,
        as_of: AsOf | None = None,
    ) -> None:
        self.settings = settings or Settings.from_env()
        self.as_of = as_of
        self._definitions = definitions
        self._versions: dict[tuple[str, str], FeatureService] = {}

    @cached_property
    def registry(self) -> Registry:
        """Definitions as applied, and what runs did. Raises InvalidRequest for an `as_of` that is not in it."""
        from amora_fs_assets.stores.registry import open_registry

        registry = open_registry(self.settings)
        if self.as_of is None:
            return registry
        from amora_fs_assets.operations.history import PastRegistry

        return PastRegistry(registry, self.as_of)

    @cached_property
    def online(self) -> OnlineStore:
        """Newest values by entity."""
        from amora_fs_assets.stores.redis import connect

        return connect(self.settings)

    @cached_property
    def offline(self) -> OfflineStore:
        """Tables of feature values."""
        from amora_fs_assets.stores.offline import open_offline_store

        return open_offline_store(self.settings)

    @cached_property
    def code(self) -> Catalogue:
        """What the code defines. Raises DefinitionError."""
        from amora_fs_assets.operations.definitions import collect

        return collect(self._definitions)

    def plan(self, *, prune: bool = False, scan: bool = False) -> Plan:
        """What `apply` would change, whom that hits and what is to be computed; changes nothing.

        With `scan` the offline store is asked how much computing would read: bytes of BigQuery, rows of DuckDB.
        """
        from amora_fs_assets.operations.plan import plan, with_scans

        dataset = self.settings.bigquery_dataset
        planned = plan(self.code, self.registry, clock=self.settings.clock(), dataset=dataset, prune=prune)
        if not scan or not planned.recompute:
            return planned
        from amora_fs_assets.operations.scan import scans

        return with_scans(planned, scans(planned.recompute, self.code, self.offline))

    def apply(self, *, prune: bool = False, allow_breaking: bool = False, planned: Plan | None = None) -> Snapshot:
        """Make the code's definitions what counts; what is gone from the code stays, unless pruned.

        With `planned` exactly that is done, or refused where somebody else applied since.

        Where Feast is installed, registry.db follows, for Feast's clients. Raises BreakingChanges, with nothing
        changed, unless they are allowed; RegistryConflict where somebody else applied meanwhile.
        """
        from amora_fs_assets.operations.definitions import apply_plan
        from amora_fs_assets.stores.feast_registry import sync
        from amora_fs_assets.stores.registry import open_objects

        planned = planned or self.plan(prune=prune)
        snapshot = apply_plan(planned, self.registry, clock=datetime.now(UTC), allow_breaking=allow_breaking)
        if sync(open_objects(self.settings), self.settings) == "behind":
            _log.warning(
                "Feast's registry.db in %s is behind, since Feast is not installed here. "
                "Run `pip install 'amora-fs-assets[feast]'` and `amora-fs apply` again.",
                self.registry.url,
            )
        return snapshot

    def compute(
        self, start: Instant, end: Instant, feature_views: Sequence[str] | None = None
    ) -> dict[str, Publication | None]:
        """Replace exactly [start, end) of the views, all by default, each after those that it reads.

        A source that the project loads itself is loaded where its table is missing. Raises DefinitionNotApplied,
        FeatureViewNotFound, ChecksFailed (nothing of that view was published), and what the stores raise.
        """
        from amora_fs_assets.operations import runs

        self._refuse_the_past("compute")
        names = [self.code.feature_view(name).name for name in feature_views or self.code.feature_views]
        views = [view for view in self.code.in_order if view.name in names]
        run_id = f"compute-{uuid.uuid4()}"
        runs.load_missing(views, self.code, store=self.offline, registry=self.registry, run_id=run_id)
        return {
            view.name: runs.compute(
                view,
                utc(start),
                utc(end),
                store=self.offline,
                registry=self.registry,
                run_id=run_id,
                clock=self.settings.clock(),
            )
            for view in views
        }

    def materialize(
        self, start: Instant, end: Instant, feature_views: Sequence[str] | None = None
    ) -> dict[str, Materialized]:
        """Fill the online store anew with each entity's newest row of [start, end]."""
        return self._materialize(utc(end), feature_views, since=utc(start))

    def materialize_incremental(
        self, end: Instant | None = None, feature_views: Sequence[str] | None = None
    ) -> dict[str, Materialized]:
        """Bring the online store up to the newest rows with event_timestamp up to `end`, the clock by default."""
        return self._materialize(utc(end) if end is not None else self.settings.clock(), feature_views)

    def _materialize(
        self, clock: datetime, feature_views: Sequence[str] | None, since: datetime | None = None
    ) -> dict[str, Materialized]:
        from amora_fs_assets.operations import runs

        self._refuse_the_past("materialize")
        catalogue = self.registry.catalogue()
        views = [catalogue.feature_view(name) for name in feature_views or catalogue.feature_views]
        run_id = f"materialize-{uuid.uuid4()}"
        return {
            view.name: runs.materialize(
                view,
                store=self.offline,
                online=self.online,
                registry=self.registry,
                run_id=run_id,
                clock=clock,
                since=since,
                expire=self.settings.now is None,
            )
            for view in views
        }

    def get_historical_features(
        self,
        features: Features,
        entity_df: Any,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002  (Feast's signature)
        known_time: bool = False,  # noqa: FBT001, FBT002
    ) -> HistoricalFeatures:
        """The features at each row's event_timestamp, lazily: `.to_df()`, `.to_arrow()`, `.to_sql()`.

        As many rows as `entity_df` has, in its order, its columns untouched. `known_time`: a row counts only from
        its created_timestamp on. Raises InvalidRequest and NotFound errors.
        """
        from amora_fs_assets.operations.historical import historical_features

        return historical_features(
            self._resolve(features),
            entity_df,
            store=self.offline,
            full_feature_names=full_feature_names,
            known_time=known_time,
        )

    def get_online_features(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
    ) -> OnlineResponse:
        """The newest values of each entity row: a list of dicts, or a dict of columns. Rows come as asked for.

        Raises InvalidRequest, NotFound errors, and OnlineStoreUnavailable where Redis is out of reach.
        """
        return online_features(
            self._resolve(features),
            entity_rows,
            online=self.online,
            clock=self.settings.clock(),
            full_feature_names=full_feature_names,
        )

    def load_training_set(self, name: str, version: str | None = None) -> pd.DataFrame:
        """A training set's rows as it was built, the newest version by default. Raises TrainingSetNotFound."""
        import pandas as pd
        import pyarrow as pa

        from amora_fs_assets.operations.training_sets import load

        table = load(name, version=version, store=self.offline, registry=self.registry)
        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
        return frame

    def _resolve(self, features: Features) -> FeatureService:
        """The service that is meant: `"name@version"` is the one that a model was trained with."""
        catalogue = self.registry.catalogue()
        name, at, version = features.partition("@") if isinstance(features, str) else ("", "", "")
        if not at:
            return catalogue.resolve(features)
        key = (str(features), catalogue.hash)
        if key not in self._versions:
            from amora_fs_assets.operations.history import service_version

            self._versions[key] = service_version(self.registry, name, version)
        return self._versions[key]

    def _refuse_the_past(self, verb: str) -> None:
        if self.as_of is not None:
            raise InvalidRequest(f"A store as of {self.as_of} is read only: {verb} without as_of.")

    def list_entities(self) -> list[Entity]:
        """As applied."""
        return list(self.registry.catalogue().entities.values())

    def list_feature_views(self) -> list[FeatureView]:
        """As applied."""
        return list(self.registry.catalogue().feature_views.values())

    def list_feature_services(self) -> list[FeatureService]:
        """As applied."""
        return list(self.registry.catalogue().feature_services.values())

    def get_feature_view(self, name: str) -> FeatureView:
        """As applied. Raises FeatureViewNotFound."""
        return self.registry.catalogue().feature_view(name)

    def get_feature_service(self, name: str, version: str | None = None) -> FeatureService:
        """As applied, or as it was in that version; every view is a service too. Raises FeatureServiceNotFound."""
        return self._resolve(name if version is None else f"{name}@{version}")


def load_training_set(name: str, version: str | None = None, *, settings: Settings | None = None) -> pd.DataFrame:
    """A training set's rows as it was built, the newest version by default. Raises TrainingSetNotFound."""
    return FeatureStore(settings).load_training_set(name, version)
