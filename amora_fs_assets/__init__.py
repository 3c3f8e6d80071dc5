"""A feature store for teams on Google Cloud, built as a Dagster project.

All public names are here. Importing the package loads no module: each name loads its module at the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from amora_fs_assets.domain.aligned import aligned, lookback_of
    from amora_fs_assets.domain.elapsed import elapsed
    from amora_fs_assets.domain.entity import Entity
    from amora_fs_assets.domain.feature_service import FeatureService
    from amora_fs_assets.domain.feature_view import FeatureView, feature_view
    from amora_fs_assets.domain.ibis_types import Timestamp
    from amora_fs_assets.domain.known import known_at
    from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, on_demand_feature_view
    from amora_fs_assets.domain.request_time.distance import distance_km
    from amora_fs_assets.domain.request_time.from_ibis import request_time
    from amora_fs_assets.domain.schema import FeatureSchema, Field, SourceSchema
    from amora_fs_assets.domain.source import Source
    from amora_fs_assets.domain.time import Interval
    from amora_fs_assets.domain.training_set import TrainingSet, training_set
    from amora_fs_assets.domain.windows.fields import Windowed
    from amora_fs_assets.domain.windows.rolling import rolling
    from amora_fs_assets.feature_store import FeatureStore, load_training_set
    from amora_fs_assets.orchestration.alerts import Alert
    from amora_fs_assets.orchestration.cadence import Automation
    from amora_fs_assets.orchestration.code_location import build_definitions, executor_for
    from amora_fs_assets.orchestration.component import FeatureStoreComponent
    from amora_fs_assets.orchestration.translator import AssetProps, FeatureStoreTranslator
    from amora_fs_assets.settings import Settings

__all__ = [
    "Alert",
    "AssetProps",
    "Automation",
    "Entity",
    "FeatureSchema",
    "FeatureService",
    "FeatureStore",
    "FeatureStoreComponent",
    "FeatureStoreTranslator",
    "FeatureView",
    "Field",
    "Interval",
    "OnDemandFeatureView",
    "Settings",
    "Source",
    "SourceSchema",
    "Timestamp",
    "TrainingSet",
    "Windowed",
    "aligned",
    "build_definitions",
    "distance_km",
    "elapsed",
    "executor_for",
    "feature_view",
    "known_at",
    "load_training_set",
    "lookback_of",
    "on_demand_feature_view",
    "request_time",
    "rolling",
    "training_set",
]

_HOMES = {
    "domain.aligned": ("aligned", "lookback_of"),
    "domain.elapsed": ("elapsed",),
    "domain.entity": ("Entity",),
    "domain.feature_service": ("FeatureService",),
    "domain.feature_view": ("FeatureView", "feature_view"),
    "domain.ibis_types": ("Timestamp",),
    "domain.known": ("known_at",),
    "domain.on_demand_view": ("OnDemandFeatureView", "on_demand_feature_view"),
    "domain.request_time.distance": ("distance_km",),
    "domain.request_time.from_ibis": ("request_time",),
    "domain.schema": ("FeatureSchema", "Field", "SourceSchema"),
    "domain.source": ("Source",),
    "domain.time": ("Interval",),
    "domain.training_set": ("TrainingSet", "training_set"),
    "domain.windows.fields": ("Windowed",),
    "domain.windows.rolling": ("rolling",),
    "feature_store": ("FeatureStore", "load_training_set"),
    "orchestration.alerts": ("Alert",),
    "orchestration.cadence": ("Automation",),
    "orchestration.code_location": ("build_definitions", "executor_for"),
    "orchestration.component": ("FeatureStoreComponent",),
    "orchestration.translator": ("AssetProps", "FeatureStoreTranslator"),
    "settings": ("Settings",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
