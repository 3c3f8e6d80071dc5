"""Online features: reads, pushes, generations, parity."""

from __future__ import annotations

import asyncio
import uuid
from functools import cached_property
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain import callers
from amora_fs_assets.domain.catalogue import Catalogue, Features
from amora_fs_assets.domain.errors import DefinitionNotApplied, FeatureViewNotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import applied_of
from amora_fs_assets.domain.names import PUSH_SOURCE
from amora_fs_assets.domain.ports.online import Generation
from amora_fs_assets.facade.push_target import PushTo, targets
from amora_fs_assets.facade.stores import Stores
from amora_fs_assets.lazy import Lazy
from amora_fs_assets.operations.online.entity_keys import EntityRows
from amora_fs_assets.operations.online.lost import Loads
from amora_fs_assets.operations.online.read import OnlineReader, OnlineResponse

if TYPE_CHECKING:
    import amora_fs_assets.building as building
    import amora_fs_assets.operations.online.readers as readers
    from amora_fs_assets.operations.online.parity import Parity
    from amora_fs_assets.operations.online.pushed_rows import Rows
else:
    building = Lazy("amora_fs_assets.building")
    readers = Lazy("amora_fs_assets.operations.online.readers")


class Online(Stores):
    """The methods of FeatureStore for the online store."""

    def get_online_features(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """The newest values for entity rows (a list of dicts, or a dict of columns), in the same order.

        Takes one round trip. Raises OnlineStoreUnavailable if Redis cannot be reached or does not answer within
        `timeout` [s], connecting included; OnlineStateLost if Redis was emptied; InvalidRequest and NotFound errors.
        """
        callers.seconds("timeout", timeout)
        plan = self._plan_of(features, full_feature_names=callers.flag("full_feature_names", full_feature_names))
        entities, requests = plan.requests(entity_rows)
        found = self.online.read(requests, timeout=timeout)
        if missed := self._loads.missed_by(requests, found):
            self._loads.refuse_lost(missed)
        return plan.response(entities, found, self.settings.clock())

    async def get_online_features_async(
        self,
        features: Features,
        entity_rows: EntityRows,
        full_feature_names: bool = False,  # noqa: FBT001, FBT002
        *,
        timeout: float | None = None,
    ) -> OnlineResponse:
        """As `get_online_features`, without blocking the event loop."""
        callers.seconds("timeout", timeout)
        callers.flag("full_feature_names", full_feature_names)
        plan = self._served.known(features, full_feature_names=full_feature_names)
        if plan is None:
            plan = await asyncio.to_thread(self._plan_of, features, full_feature_names=full_feature_names)
        entities, requests = plan.requests(entity_rows)
        found = await self.online.read_async(requests, timeout=timeout)
        if missed := self._loads.missed_by(requests, found):
            await asyncio.to_thread(self._loads.refuse_lost, missed)
        return plan.response(entities, found, self.settings.clock())

    def push(
        self,
        feature_view: str | None = None,
        rows: Rows = None,
        *,
        to: PushTo | Any = None,
        to_offline: bool | None = None,
        push_source_name: str | None = None,
        df: Rows = None,
        allow_registry_cache: bool = True,
    ) -> int:
        """Append rows to the offline table as a publication, and write the newer ones online.

        `rows`: a DataFrame, an Arrow table, dicts or a dict of columns with join keys, event_timestamp and features.
        Pushed rows must pass the same rules as computed rows. `to` is "online_and_offline" (the default), "online",
        "offline" or a member of Feast's PushMode; `to_offline=False` is the same as `to="online"`. Feast's words for
        the first two arguments are `push_source_name` and `df`: see `push_views`. Without `allow_registry_cache` the
        registry is read first.

        A row with event_timestamp after the clock is only appended offline; the first load after its time brings it
        online. Rows of a view of an external table are kept in `_pushed_<view>`. Before a view's first load, only the
        pushed rows are online. Returns the number of rows that were newer than the online rows. Raises InvalidRequest
        and ChecksFailed, with nothing written, and OnlineStateLost if Redis was emptied since the last load.
        """
        self._refuse_the_past("push")
        name = callers.text(
            "feature_view", callers.one_of("feature_view", feature_view, "push_source_name", push_source_name)
        )
        given = callers.one_of("rows", rows, "df", df)
        online, offline = targets(to, to_offline)
        if not callers.flag("allow_registry_cache", allow_registry_cache):
            self._served.refresh()
        views = self.push_views(name) if name != feature_view or name not in self.served.feature_views else [name]
        return sum(self._push_again(view, given, online=online, offline=offline) for view in views)

    def push_views(self, push_source: str) -> list[str]:
        """The feature views that a Feast push source feeds: with its tag `push_source`, or the view of its name.

        An unknown name is looked up in the registry. Raises FeatureViewNotFound.
        """
        if fed := self._fed_by(push_source):
            return fed
        try:
            return [self._served.view(push_source).name]
        except FeatureViewNotFound as error:
            if fed := self._fed_by(push_source):  # the registry was just read
                return fed
            raise FeatureViewNotFound(
                f"{error} If this is a Feast push source, give the views that it feeds the tag '{PUSH_SOURCE}'."
            ) from None

    def _fed_by(self, push_source: str) -> list[str]:
        return [view.name for view in self.served.feature_views.values() if view.tags.get(PUSH_SOURCE) == push_source]

    async def push_async(self, feature_view: str | None = None, rows: Rows = None, **options: Any) -> int:
        """As `push`, in a thread, so that the event loop is not blocked."""
        return await asyncio.to_thread(self.push, feature_view, rows, **options)

    def write_to_online_store(
        self, feature_view_name: str, df: Rows = None, inputs: Rows = None, *, allow_registry_cache: bool = True
    ) -> int:
        """Feast's name for `push(..., to="online")`. The rows are `df` or `inputs`."""
        rows = callers.one_of("df", df, "inputs", inputs)
        return self.push(feature_view_name, rows, to="online", allow_registry_cache=allow_registry_cache)

    def write_to_offline_store(self, feature_view_name: str, df: Rows, *, allow_registry_cache: bool = True) -> int:
        """Feast's name for `push(..., to="offline")`. The next load brings the rows online."""
        return self.push(feature_view_name, df, to="offline", allow_registry_cache=allow_registry_cache)

    def _push_again(self, feature_view: str, rows: Rows, *, online: bool, offline: bool) -> int:
        try:
            return self._push(feature_view, rows, online=online, offline=offline)
        except DefinitionNotApplied:  # the catalogue in memory may be some seconds old
            self._served.refresh()
            return self._push(feature_view, rows, online=online, offline=offline)

    def _push(self, feature_view: str, rows: Rows, *, online: bool, offline: bool) -> int:
        view = self._served.view(feature_view)
        return readers.push(
            view,
            rows,
            online=self.online if online else None,
            offline=self.offline if offline else None,
            registry=self.registry,
            run_id=f"push-{uuid.uuid4()}",
            clock=self.settings.clock(),
            applied=applied_of(self._served.catalogue, view.name),
            expire=self.settings.now is None,
            refuse_lost=lambda view: Loads(self.registry).refuse_lost([view]),  # reads remember what they found
        )

    def rollback(self, feature_view: str, to: int | None = None) -> Generation:
        """Make generation `to` of a view live until unpinned; by default the generation before the live one.

        Raises OnlineStoreError if the generation does not exist.
        """
        self._refuse_the_past("rollback")
        callers.text("feature_view", feature_view)
        if to is not None:
            callers.whole("to", to, least=1)
        run_id = f"rollback-{uuid.uuid4()}"
        return readers.rollback(feature_view, to, online=self.online, registry=self.registry, run_id=run_id)

    def unpin(self, feature_view: str) -> Generation:
        """Make a view's newest generation live again. Raises OnlineStoreError if the view was never loaded."""
        self._refuse_the_past("unpin")
        callers.text("feature_view", feature_view)
        return readers.unpin(feature_view, online=self.online, registry=self.registry, run_id=f"unpin-{uuid.uuid4()}")

    def parity(self, feature_view: str, *, sample: int | None = 1_000) -> Parity:
        """Compare the online rows of a sample of keys (None: of all keys) with the newest offline rows.

        Allowed differences are counted separately: rows that were published after the load (`behind`) or pushed only
        online (`ahead`), keys that no window load has loaded (`outside`), and rows that Redis may have collected
        because of their age (`aged_out`). With None the newest rows of the view are held in memory.
        """
        self._refuse_the_past("parity")
        if sample is not None:
            callers.whole("sample", sample, least=1)
        callers.text("feature_view", feature_view)
        view, run_id = self.registry.catalogue().feature_view(feature_view), f"parity-{uuid.uuid4()}"
        return building.runs.parity(
            view,
            store=self.offline,
            online=self.online,
            registry=self.registry,
            run_id=run_id,
            sample=sample,
            expire=self.settings.now is None,
        )

    @property
    def served(self) -> Catalogue:
        """The catalogue that reads use, a few seconds old at most."""
        return self._served.catalogue

    def served_view(self, name: str) -> FeatureView:
        """A feature view of `served`; an unknown name is looked up in the registry. Raises FeatureViewNotFound."""
        return self._served.view(name)

    def _plan_of(self, features: Features, *, full_feature_names: bool) -> OnlineReader:
        return self._served.plan(features, full_feature_names=full_feature_names)

    @cached_property
    def _loads(self) -> Loads:
        return Loads(self.registry)
