"""The table of stores: the implementation for each setting. A new store is one folder and one row here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from amora_fs_assets.domain.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One row: the functions of an implementation, each as `module:function`."""

    opener: str
    """Opens the store: called with the settings, and with a client if `client` names one."""
    extra: str = ""
    """The extra of this package that the implementation needs; "": none."""
    client: str = ""
    """The Dagster resource that makes the client: "bigquery" or "gcs"."""
    concurrent_writers: bool = True
    """Whether several processes may write concurrently. Otherwise the steps of a Dagster run share one process."""
    table_page: str = ""
    """Gives the metadata of a table for its page in Dagster; called with the table's name and the settings."""
    feast_source: str = ""
    """Gives rows as a data source of Feast; called with their place (Where), the settings, and the view if rows end."""

    def load(self, part: str) -> Any:
        """The function of a part. Raises SettingsError with the extra to install if a package is missing."""
        module, _, function = getattr(self, part).partition(":")
        try:
            return getattr(import_module(module), function)
        except ModuleNotFoundError as error:
            wanted = f"amora-fs-assets[{self.extra}]" if self.extra else str(error.name)
            raise SettingsError(
                f"The package '{error.name}', which {module} needs, is not installed. Run `pip install '{wanted}'`."
            ) from error


_STORES = "amora_fs_assets.stores"
_REDIS = Implementation(opener=f"{_STORES}.redis.setup:opened")

OFFLINE_STORES: dict[str, Implementation] = {
    "duckdb": Implementation(opener=f"{_STORES}.duckdb.setup:opened", concurrent_writers=False),
    "bigquery": Implementation(
        opener=f"{_STORES}.bigquery.setup:opened",
        client="bigquery",
        table_page=f"{_STORES}.bigquery.setup:table_page",
        feast_source=f"{_STORES}.bigquery.setup:feast_source",
    ),
}
"""By `Settings.offline_store`."""

ONLINE_STORES: dict[str, Implementation] = dict.fromkeys(
    ("", "redis", "rediss", "redis+cluster", "rediss+cluster", "unix"), _REDIS
)
"""By the scheme of `Settings.online_store_url`; "" for the embedded server."""

REGISTRIES: dict[str, Implementation] = {
    "": Implementation(opener=f"{_STORES}.registry.setup:folder"),
    "gs": Implementation(opener=f"{_STORES}.registry.setup:bucket", client="gcs"),
}
"""By the scheme of `Settings.registry`; "" for a folder."""


def scheme_of(url: str) -> str:
    """The scheme of a URL; "" for a path or an empty text."""
    return urlsplit(url).scheme if "://" in url else ""
