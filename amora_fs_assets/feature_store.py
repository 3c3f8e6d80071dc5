"""FeatureStore: one facade over a reading half (catalogue and Redis) and a building half, loaded when first needed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from amora_fs_assets.domain.catalogue import Catalogue, Features, definition_hash
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import OfflineStore, OnlineStore, Registry
from amora_fs_assets.domain.records import Publication, Snapshot
from amora_fs_assets.domain.time import Instant, utc
from amora_fs_assets.operations.online import EntityRows, OnlinePlan, OnlineResponse
from amora_fs_assets.operations.served import ServedCatalogue
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    import pandas as pd

    from amora_fs_assets.operations.definitions import Plan
    from amora_fs_assets.operations.historical import HistoricalFeatures
    from amora_fs_assets.operations.materialize import Materialized
    from amora_fs_assets.operations.parity import Parity
    from amora_fs_assets.operations.push import Rows

DEFINITIONS = "amora_fs_assets.features"


class FeatureStore:
    """Everything that one does with a feature store, outside Dagster.

    Args:
        settings: Where its parts are; the environment's `AMORA_FS_*` by default.
        definitions: The package or module, or its name, that `plan`, `apply` and `compute` read. Everything else
            reads the registry.

    """

    def __init__(self, settings: Settings | None = None, definitions: str | ModuleType = DEFINITIONS) -> None:
        self.settings = settings or Settings.from_env()
        self._definitions = definitions

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give connections back, and the lease on the embedded server. What is asked afterwards connects anew."""
        if "online" in vars(self):
            self.online.close()

    @cached_property
    def registry(self) -> Registry:
        """Definitions as applied, and what runs did."""
        from amora_fs_assets.stores.registry import open_registry

        return open_registry(self.settings)

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

    def plan(self, *, prune: bool = False) -> Plan:
        """What `apply` would change; changes nothing."""
        from amora_fs_assets.operations.definitions import plan

        return plan(self.code, self.registry, prune=prune)

    def apply(self, *, prune: bool = False) -> Snapshot:
        """Make the code's definitions what counts; what is gone from the code stays, unless pruned."""
        from amora_fs_assets.operations.definitions import apply

        return apply(self.code, self.registry, clock=datetime.now(UTC), prune=prune)

    def compute(
        self, start: Instant, end: Instant, feature_views: Sequence[str] | None = None
    ) -> dict[str, Publication | None]:
        """Replace exactly [start, end) of the views, all by default, each after those that it reads.

        A source that the project loads itself is loaded where its table is missing. Raises DefinitionNotApplied,
        FeatureViewNotFound, ChecksFailed (nothing of that view was published), and what the stores raise.
        """
        from amora_fs_assets.operations import runs

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
        self, end: Instant | None = None, feature_views: Sequence[str] | None = None, *, full: bool = False
    ) -> dict[str, Materialized]:
        """Bring the online store up to the newest rows with event_timestamp up to `end`, the clock by default.

        `full` fills a new generation with all of them, whatever is online.
        """
        return self._materialize(utc(end) if end is not None else self.settings.clock(), feature_views, full=full)

    def _materialize(
        self,
        clock: datetime,
        feature_views: Sequence[str] | None,
        since: datetime | None = None,
        *,
        full: bool = False,
    ) -> dict[str, Materialized]:
        from amora_fs_assets.operations import runs

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
                full=full,
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
            self.registry.catalogue().resolve(features),
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
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """The newest values of each entity row: a list of dicts, or a dict of columns. Rows come as asked for.

        Costs one round trip, of at most `timeout` [s]. Raises InvalidRequest, NotFound errors, and
        OnlineStoreUnavailable where Redis is out of reach.
        """
        plan = self._plan_of(features, full_feature_names=full_feature_names)
        asked, requests = plan.requests(entity_rows)
        return plan.response(asked, self.online.read(requests, timeout=timeout), self.settings.clock())

    async def get_online_features_async(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """As `get_online_features`, without blocking the event loop."""
        plan = self._plan_of(features, full_feature_names=full_feature_names)
        asked, requests = plan.requests(entity_rows)
        return plan.response(asked, await self.online.read_async(requests, timeout=timeout), self.settings.clock())

    def push(self, feature_view: str, rows: Rows, *, to_offline: bool = True) -> int:
        """Write rows that are newer than what is online, and append them to the offline table, as a publication.

        `rows`: a DataFrame, an Arrow table, dicts or a dict of columns with join keys, event_timestamp and features.
        Returns how many were newer than what is served. Raises InvalidRequest and ChecksFailed, with nothing written,
        and OnlineStoreError where the view was never loaded.
        """
        from amora_fs_assets.operations.push import push

        view = self._served.view(feature_view)
        return push(
            view,
            rows,
            online=self.online,
            offline=self.offline if to_offline else None,
            run_id=f"push-{uuid.uuid4()}",
            definition_hash=definition_hash(view),
            expire=self.settings.now is None,
        )

    def parity(self, feature_view: str, *, sample: int = 1_000) -> Parity:
        """What is served of a sample of keys, against the newest rows of the offline store."""
        from amora_fs_assets.operations.parity import parity

        return parity(self.registry.catalogue().feature_view(feature_view), self.offline, self.online, sample=sample)

    @property
    def served(self) -> Catalogue:
        """What was applied, a few seconds ago at most: what a model server answers from."""
        return self._served.catalogue

    async def close_async(self) -> None:
        """As `close`, with the running event loop's connections."""
        if "online" in vars(self):
            await self.online.close_async()
        self.close()

    def _plan_of(self, features: Features, *, full_feature_names: bool) -> OnlinePlan:
        return self._served.plan(features, full_feature_names=full_feature_names)

    @cached_property
    def _served(self) -> ServedCatalogue:
        return ServedCatalogue(self.registry)

    def load_training_set(self, name: str, version: str | None = None) -> pd.DataFrame:
        """A training set's rows as it was built, the newest version by default. Raises TrainingSetNotFound."""
        import pandas as pd
        import pyarrow as pa

        from amora_fs_assets.operations.training_sets import load

        table = load(name, version=version, store=self.offline, registry=self.registry)
        kinds = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
        return frame

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

    def get_feature_service(self, name: str) -> FeatureService:
        """As applied; every view is a service too. Raises FeatureServiceNotFound."""
        return self.registry.catalogue().feature_service(name)


def load_training_set(name: str, version: str | None = None, *, settings: Settings | None = None) -> pd.DataFrame:
    """A training set's rows as it was built, the newest version by default. Raises TrainingSetNotFound."""
    return FeatureStore(settings).load_training_set(name, version)
