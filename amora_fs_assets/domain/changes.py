"""The changes of definitions between two catalogues, with their severity, for `plan` and `history`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Literal

from amora_fs_assets.domain.catalogue import Definition
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet

Kind = Literal["entity", "source", "feature view", "on-demand feature view", "feature service", "training set"]
Action = Literal["added", "changed", "removed"]


class Severity(IntEnum):
    """The severity of a change for readers of features."""

    COMPATIBLE = 0
    """Stored rows and reads stay correct."""
    RECOMPUTE = 1
    """Stored rows, online values or training set versions no longer match the definition."""
    BREAKING = 2
    """A reader gets an error, or values with another meaning, for the same name."""

    def __str__(self) -> str:
        """The severity in words."""
        return ("compatible", "needs recompute", "breaking")[self]


class Effect(IntEnum):
    """What a difference affects."""

    WORDS = 0
    """Neither reads nor computed rows."""
    READS = 1
    """Reads: readers get other results from the same stored rows."""
    ROWS = 2
    """Rows: they must be computed again."""


@dataclass(frozen=True)
class Difference:
    """One difference between the old and the new definition."""

    what: str
    severity: Severity
    effect: Effect = Effect.WORDS
    features: tuple[str, ...] = ()  # the affected features; empty: the whole definition
    since: datetime | None = None  # only rows before this instant must be computed


@dataclass(frozen=True)
class Change:
    """The change of one definition."""

    kind: Kind
    name: str
    action: Action
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        """The definition's name in messages: `feature view 'carrier_punctuality'`."""
        return f"{self.kind} '{self.name}'"

    @property
    def severity(self) -> Severity:
        """The greatest severity of the differences."""
        return max((each.severity for each in self.differences), default=Severity.COMPATIBLE)

    @property
    def effect(self) -> Effect:
        """The greatest effect of the differences."""
        return max((each.effect for each in self.differences), default=Effect.WORDS)

    @property
    def features(self) -> frozenset[str] | None:
        """The features whose reads or rows change; None for all features."""
        reaching = [each for each in self.differences if each.effect > Effect.WORDS]
        if any(not each.features for each in reaching):
            return None
        return frozenset(name for each in reaching for name in each.features)


KINDS: dict[Kind, str] = {
    "entity": "entities",
    "source": "sources",
    "feature view": "feature_views",
    "on-demand feature view": "on_demand_feature_views",
    "feature service": "feature_services",
    "training set": "training_sets",
}
"""The kinds of definitions, and the catalogue's attribute for each kind."""


def kind_of(definition: Definition) -> Kind:
    """The kind of a definition, in words."""
    match definition:
        case Entity():
            return "entity"
        case Source():
            return "source"
        case FeatureView():
            return "feature view"
        case OnDemandFeatureView():
            return "on-demand feature view"
        case FeatureService():
            return "feature service"
        case TrainingSet():
            return "training set"


def removal(kind: Kind, name: str, why: str = "the code no longer has it") -> Change:
    """The change for a removed definition. Removing a view or a service is breaking: reads by its name fail."""
    read = kind in ("feature view", "on-demand feature view", "feature service")
    severity, effect = (Severity.BREAKING, Effect.READS) if read else (Severity.COMPATIBLE, Effect.WORDS)
    return Change(kind, name, "removed", (Difference(why, severity, effect),))
