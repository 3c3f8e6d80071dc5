"""The names of a feature store's assets, jobs, sensors and resources in a code location."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import dagster as dg

Kind = Literal["raw", "feature_view", "online", "on_demand", "training_set"]
"""The kinds of assets: a source, a feature view, its online values, an on-demand feature view, a training set."""


@dataclass(frozen=True)
class Names:
    """Names that do not collide when one code location holds several feature stores."""

    store: str = "feature_store"
    """The name of the job over everything and of the resource, and the prefix of the other names."""
    keys: Mapping[tuple[Kind, str], dg.AssetKey] = field(default_factory=dict)
    """The asset keys that are not `<kind>/<name>`, by kind and name of the definition."""
    clients: Mapping[str, str] = field(default_factory=dict)
    """The keys of the host's resources for Google clients, by "bigquery" and "gcs"."""

    def key(self, kind: Kind, name: str) -> dg.AssetKey:
        """The key of a definition's asset."""
        return self.keys.get((kind, name)) or dg.AssetKey([kind, name])

    def definition_of(self, key: dg.AssetKey) -> tuple[Kind, str]:
        """The kind and name of the definition of an asset."""
        for of, other in self.keys.items():
            if other == key:
                return of
        kind, name = key.path
        return kind, name  # type: ignore[return-value]  # every other key is <kind>/<name>

    def step(self, kind: Kind, name: str, word: str = "") -> str:
        """The name of an asset's op, or of one of its steps: `online_<word>__<name>`."""
        path = self.key(kind, name).path
        if not word:
            return "__".join(path)
        return f"{kind}_{word}__{name}" if (kind, name) not in self.keys else f"{kind}_{word}__{'__'.join(path)}"

    @property
    def job(self) -> str:
        """The job over everything."""
        return self.store

    @property
    def io_manager(self) -> str:
        """The IO manager, which publishes and loads."""
        return f"{self.store}_io_manager"

    @property
    def step_outputs(self) -> str:
        """The IO manager for the values that the steps of a load pass on."""
        return f"{self.store}_step_outputs"

    def client(self, client: str) -> str:
        """The resource for a Google client, "bigquery" or "gcs"."""
        return self.clients.get(client, f"{self.store}_{client}")

    @property
    def automation(self) -> str:
        """The sensor that keeps everything up to date."""
        return f"{self.store}_automation"

    @property
    def late(self) -> str:
        """The job that computes late rows, and its schedule."""
        return f"{self.store}_late"

    @property
    def audit(self) -> str:
        """The job that audits all views, and its schedule."""
        return f"{self.store}_audit"

    @property
    def failed_runs(self) -> str:
        """The sensor that reports failed runs."""
        return f"{self.store}_failed_runs"

    @property
    def failed_checks(self) -> str:
        """The sensor that reports checks that begin to fail."""
        return f"{self.store}_failed_checks"


NAMES = Names()
"""The names of the only feature store in a code location."""
