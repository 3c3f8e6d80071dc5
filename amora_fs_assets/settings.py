"""Settings: built once at the edges, passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.domain.time import utc

PREFIX = "AMORA_FS_"
OfflineEngine = Literal["duckdb", "bigquery"]
Priority = Literal["interactive", "batch"]


@dataclass(frozen=True)
class Settings:
    """Where the parts of the feature store are. Every field is the environment variable `AMORA_FS_<FIELD>`."""

    offline_store: OfflineEngine = "duckdb"
    """Where feature values are kept: `duckdb` (embedded) or `bigquery`."""
    online_store_url: str = field(default="", repr=False)  # it may hold a password
    """`redis://`, `rediss://`, `unix://`, `redis+cluster://` or `rediss+cluster://`; empty: the embedded server."""
    online_store_ca: str = ""
    """File of the certificates that signed the server's, for `rediss://`; empty: the system's."""
    online_shards: int = 1
    """Into how many steps Dagster divides the online load of a view, for executors that run them side by side."""
    registry: str = ""
    """A folder, or `gs://bucket/prefix`; empty: `<home>/registry`."""
    home: Path = Path(".amora_fs")
    """Folder of the embedded parts."""
    project: str = "amora_fs"
    """Prefix of the keys in Redis, so that several stores can share a server."""
    lock_timeout: float = 60.0
    """How long a busy embedded database is waited for [s]."""
    bigquery_project: str = ""
    """Google Cloud project of the tables; empty: that of the credentials."""
    bigquery_dataset: str = "feature_store"
    """Dataset of the feature views' tables; in the embedded store, the schema."""
    bigquery_location: str = ""
    """Location of the datasets; empty: BigQuery's default."""
    bigquery_maximum_bytes_billed: int | None = None
    """No query may scan more [bytes]: a dry run comes first, and what is over is not run."""
    bigquery_priority: Priority = "interactive"
    """`interactive`, or `batch`: queries wait until the project has slots to spare."""
    bigquery_timeout: float = 3600.0
    """How long a job may take, then it is cancelled [s]."""
    bigquery_price_per_tib: float = 6.25
    """What scanning 1 TiB costs, in the currency of the records [USD, on demand in the US]."""
    bigquery_impersonate: str = ""
    """Service account that Google's clients act as, by its e-mail address."""
    commit: str = ""
    """Commit of the feature code, kept in records; empty: that of the git checkout it is in, if it is in one."""
    now: datetime | None = None
    """A fixed clock, for replaying old data."""
    http_host: str = "127.0.0.1"
    """Where the HTTP server listens."""
    http_port: int = 8666
    """The port it listens on."""
    api_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens that the HTTP server takes, comma-separated; empty: it asks for none."""

    def __post_init__(self) -> None:
        """Check and normalize. Raises SettingsError, which names the setting and what it takes."""
        if self.offline_store not in get_args(OfflineEngine):
            raise SettingsError(f"{PREFIX}OFFLINE_STORE is {self.offline_store!r}; it takes duckdb or bigquery.")
        if self.online_shards < 1:
            raise SettingsError(f"{PREFIX}ONLINE_SHARDS is {self.online_shards}; it takes a number from 1 on.")
        if not self.bigquery_dataset.isidentifier():
            raise SettingsError(f"{PREFIX}BIGQUERY_DATASET is {self.bigquery_dataset!r}; letters, digits, underscores.")
        if self.bigquery_priority not in get_args(Priority):
            raise SettingsError(
                f"{PREFIX}BIGQUERY_PRIORITY is {self.bigquery_priority!r}; it takes interactive or batch."
            )
        for name in ("bigquery_maximum_bytes_billed", "bigquery_price_per_tib"):
            if (getattr(self, name) or 0) < 0:
                raise SettingsError(f"{PREFIX}{name.upper()} is {getattr(self, name):g}; give zero or more.")
        if self.bigquery_timeout <= 0:
            raise SettingsError(f"{PREFIX}BIGQUERY_TIMEOUT is {self.bigquery_timeout:g}; give seconds, more than zero.")
        object.__setattr__(self, "home", Path(self.home).expanduser().absolute())
        object.__setattr__(self, "registry", str(self.registry or self.home / "registry"))
        if self.now is not None:
            object.__setattr__(self, "now", utc(self.now))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read `AMORA_FS_*`; what is unset or empty keeps its default. Raises SettingsError."""
        environ = os.environ if environ is None else environ
        known = {PREFIX + each.name.upper(): each.name for each in fields(cls)}
        unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            raise SettingsError(f"{unknown[0]} is no setting. Known: {', '.join(sorted(known))}.")
        return cls(**{known[name]: _parse(name, known[name], environ[name]) for name in known if environ.get(name)})

    def clock(self) -> datetime:
        """Now, or the fixed clock."""
        return self.now or datetime.now(UTC)


def _parse(variable: str, name: str, text: str) -> Any:
    try:
        match name:
            case "lock_timeout" | "bigquery_timeout" | "bigquery_price_per_tib":
                return float(text)
            case "bigquery_maximum_bytes_billed" | "http_port" | "online_shards":
                return int(text)
            case "now":
                return utc(text)
            case "home":
                return Path(text)
            case "api_tokens":
                return tuple(token.strip() for token in text.split(",") if token.strip())
            case _:
                return text
    except ValueError:
        raise SettingsError(f"{variable} is {text!r}, which is not a {_WORDS[name]}.") from None


_WORDS = {
    "lock_timeout": "number of seconds",
    "bigquery_timeout": "number of seconds",
    "bigquery_price_per_tib": "price",
    "bigquery_maximum_bytes_billed": "whole number of bytes",
    "http_port": "port number",
    "online_shards": "whole number of shards",
    "now": "time in ISO 8601, such as 2014-01-01T05:00Z",
}
