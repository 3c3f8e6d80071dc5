"""Settings: read once at the edges, passed down as an argument."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args
from urllib.parse import urlsplit

from amora_fs_assets.domain.errors import SettingsError, shown
from amora_fs_assets.domain.time import utc
from amora_fs_assets.project import TABLE, Project, nearest
from amora_fs_assets.store_table import OFFLINE_STORES

PREFIX = "AMORA_FS_"
Priority = Literal["interactive", "batch"]


@dataclass(frozen=True)
class Settings:
    """The settings of a feature store: locations and limits.

    Every field is also the environment variable `AMORA_FS_<FIELD>`. A field accepts the variable's text as well as its
    own type: `api_tokens="a, b"` or `("a", "b")`, `http_port="80"` or `80`.
    """

    offline_store: str = "duckdb"
    """The store of feature values: `duckdb` (embedded) or `bigquery`."""
    online_store_url: str = field(default="", repr=False)  # it may hold a password
    """`redis://`, `rediss://`, `unix://`, `redis+cluster://` or `rediss+cluster://`; empty: the embedded server."""
    online_store_ca: str = ""
    """File with the certificates of the server's authority, for `rediss://`; empty: the system's certificates."""
    online_shards: int = 1
    """Number of parallel Dagster steps that write the online load of a view."""
    registry: str = ""
    """A folder, or `gs://bucket/prefix`; empty: `<home>/registry`."""
    home: Path = Path(".amora_fs")
    """Folder of the embedded stores."""
    project: str = "amora_fs"
    """Prefix of the names in Redis, so that several feature stores can share a server."""
    training_set_versions: int | None = None
    """Number of versions that stay when Dagster builds a new version of a training set; empty: all."""
    lock_timeout: float = 60.0
    """Longest wait for a busy embedded database [s]."""
    bigquery_project: str = ""
    """Google Cloud project of the tables; empty: the project of the credentials."""
    dataset: str = "feature_store"
    """Dataset of the feature views' tables; in the embedded store, the schema."""
    bigquery_location: str = ""
    """Location of the datasets; empty: BigQuery's default."""
    bigquery_maximum_bytes_billed: int | None = None
    """Greatest scan of a query [bytes]. A dry run comes first, and a query over the limit is not run."""
    bigquery_priority: Priority = "interactive"
    """`interactive`, or `batch`: queries wait until the project has free slots."""
    bigquery_timeout: float = 3600.0
    """Longest duration of a job before it is cancelled [s]."""
    bigquery_price_per_tib: float = 6.25
    """Price of scanning 1 TiB, in the currency of the records [USD, on demand in the US]."""
    bigquery_hash_inputs: bool = False
    """Whether computations hash the rows of their sources (which scans all columns once more), or only count them."""
    bigquery_impersonate: str = ""
    """E-mail address of a service account that Google's clients impersonate."""
    definitions: str = ""
    """Package or module with the definitions, such as `shop_features`."""
    audit_at_apply: bool = True
    """Whether an apply audits new and changed views, and refuses those that look into the future."""
    commit: str = ""
    """Commit of the feature code, for records; empty: the commit of the code's git checkout, if there is one."""
    now: datetime | None = None
    """A fixed clock, for replaying old data."""
    http_host: str = "127.0.0.1"
    """Address on which the HTTP server listens."""
    http_port: int = 8666
    """Port on which the HTTP server listens."""
    api_tokens: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens that may read and write over HTTP, comma-separated; without any token: no authentication."""
    api_tokens_read_only: tuple[str, ...] = field(default=(), repr=False)
    """Bearer tokens that may only read over HTTP, comma-separated."""

    def __post_init__(self) -> None:
        """Convert each setting from text or from its own type.

        Raises SettingsError, which names the setting and its accepted values.
        """
        for each in fields(self):
            given, (take, words) = getattr(self, each.name), _TAKES[each.name]
            try:
                object.__setattr__(self, each.name, take(given))
            except (ValueError, TypeError, OverflowError, RuntimeError):
                value = f" is {shown(given)};" if each.repr else ":"  # a hidden value may be a secret
                raise SettingsError(f"{PREFIX}{each.name.upper()}{value} it takes {words}.") from None
        object.__setattr__(self, "registry", self.registry or str(self.home / "registry"))

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, project: str | os.PathLike[str] | None = None
    ) -> Settings:
        """Read `AMORA_FS_*`, and `[tool.amora_fs]` of the project; the environment wins.

        An unset or empty variable takes the project's value, then the default. Relative paths are relative to the
        folder of the project's pyproject.toml; without such a file, to the working directory.

        Args:
            environ: The environment variables; by default the process's.
            project: A file or folder of the project; by default the working directory.

        Raises:
            SettingsError: a variable or key is not a setting, or has an invalid value.

        """
        environ = os.environ if environ is None else environ
        _refuse_amora(environ)
        here = nearest(project)
        known = {PREFIX + each.name.upper(): each.name for each in fields(cls)}
        unknown = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
        if unknown:
            if unknown[0] in RENAMED:
                raise SettingsError(f"{unknown[0]} is called {RENAMED[unknown[0]]} now.")
            raise SettingsError(f"{unknown[0]} is not a setting. Known: {', '.join(sorted(known))}.")
        given = _of_project(here, known.values())
        given |= {known[name]: environ[name] for name in known if environ.get(name)}
        try:
            return cls(**_below(here.folder, given))
        except SettingsError as error:
            if here.file is None or not here.settings:
                raise
            raise SettingsError(f"{error} (Settings are read from the environment and from {here.file}.)") from error

    def clock(self) -> datetime:
        """The fixed clock, or the present time."""
        return self.now or datetime.now(UTC)


def missing_definitions() -> NoReturn:
    """Raise SettingsError for a missing setting `definitions`."""
    raise SettingsError(
        "The package with the definitions is not set. Put `definitions = 'shop_features'` under [tool.amora_fs] in "
        "the pyproject.toml of your project, or set AMORA_FS_DEFINITIONS, or give --definitions. "
        "`amora-fs init shop_features` makes a project; `amora-fs demo` shows the sample."
    )


RENAMED = {"AMORA_FS_BIGQUERY_DATASET": "AMORA_FS_DATASET"}
"""The new names of settings, by their names in earlier releases."""


AMORA_PREFIX = "AMORA_FEATURE_STORE_"
OF_AMORA = {
    "REGISTRY": "AMORA_FS_REGISTRY, a folder or gs://bucket/prefix",
    "PROVIDER": "AMORA_FS_OFFLINE_STORE, duckdb or bigquery",
    "OFFLINE_STORE_TYPE": "AMORA_FS_OFFLINE_STORE, duckdb or bigquery",
    "OFFLINE_STORE_CONFIG": "AMORA_FS_BIGQUERY_PROJECT, AMORA_FS_BIGQUERY_LOCATION and AMORA_FS_DATASET",
    "ONLINE_STORE_TYPE": "AMORA_FS_ONLINE_STORE_URL, such as redis://host:6379",
    "ONLINE_STORE_CONFIG": "AMORA_FS_ONLINE_STORE_URL, such as redis://host:6379",
    "DEFAULT_FEATURE_TTL_IN_SECONDS": "ttl= of each feature view",
    "HTTP_SERVER_HOST": "AMORA_FS_HTTP_HOST",
    "HTTP_SERVER_PORT": "AMORA_FS_HTTP_PORT",
    "HTTP_ACCESS_LOG_ENABLED": "the counters of GET /metrics",
    "TQDM_ASCII_LOGGING": "",
    "TQDM_DISABLE": "",
    "USAGE_TRACKING_ENABLED": "",
    "USAGE_ENDPOINT": "",
    "MARKDOWN_FORMAT": "`amora-fs plan --format markdown`",
}
"""Amora's settings without their prefix, and what replaces each; empty: nothing."""


def _refuse_amora(environ: Mapping[str, str]) -> None:
    """Raise SettingsError for settings of Amora, which would otherwise be ignored without a message."""
    given = sorted(name.removeprefix(AMORA_PREFIX) for name in environ if name.startswith(AMORA_PREFIX))
    if given:
        instead = (f"{AMORA_PREFIX}{name} by {OF_AMORA.get(name) or 'nothing'}" for name in given)
        raise SettingsError(
            f"The environment has settings of Amora, which this package does not read. Replace {', '.join(instead)}, "
            "and unset the old names. docs/from-amora.md has all of them."
        )


def _of_project(project: Project, known: Iterable[str]) -> dict[str, Any]:
    """The settings in [tool.amora_fs]. Raises SettingsError for an unknown key."""
    for name in project.settings:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"Known: {', '.join(sorted(known))}."
            raise SettingsError(f"{project.file}: '{name}' in [{TABLE}] is not a setting. {hint}")
    return dict(project.settings)


def _below(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """The settings with absolute paths."""
    paths = {"home": Settings.home, **{name: given[name] for name in given if name in ("registry", "online_store_ca")}}
    paths |= {"home": given["home"]} if "home" in given else {}
    for name, value in paths.items():
        text = str(value)
        given[name] = value if "://" in text or not text else str(folder / Path(text).expanduser())
    return given


_YEAR = 365 * 24 * 3600  # the longest time limit, since some timers support no longer waits [s]
_Take = Callable[[Any], Any]


def _text(given: Any) -> str:
    """A text that an environment variable can hold."""
    if not isinstance(given, str) or "\0" in given:
        raise ValueError
    given.encode()
    return str.__str__(given)


def _non_empty_text(given: Any) -> str:
    if not _text(given).strip():
        raise ValueError
    return _text(given)


def _definitions(given: Any) -> str:
    if given != "" and not all(part.isidentifier() for part in _text(given).split(".")):
        raise ValueError
    return _text(given)


def _path(given: Any) -> str:
    return _text(os.fspath(given))


def _server(given: Any) -> str:
    """A URL whose ports are valid."""
    nodes = urlsplit(_text(given)).netloc.rpartition("@")[2].split(",")
    if any(urlsplit(f"//{node}").port == 0 for node in nodes):  # `port` raises ValueError above 65535
        raise ValueError
    return _text(given)


def _folder(given: Any) -> Path:
    return Path(_path(given)).expanduser().absolute()


def _one_of(kind: Any) -> _Take:
    def take(given: Any) -> str:
        if _text(given) not in get_args(kind):
            raise ValueError
        return _text(given)

    return take


def _implementation(given: Any) -> str:
    if _text(given) not in OFFLINE_STORES:
        raise ValueError
    return _text(given)


def _matching(pattern: str) -> _Take:
    def take(given: Any) -> str:
        if not re.fullmatch(pattern, _text(given)):
            raise ValueError
        return _text(given)

    return take


def _whole_number(least: int, most: int) -> _Take:
    def take(given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int | str):
            raise TypeError
        if not least <= (number := int(given)) <= most:
            raise ValueError
        return number

    return take


def _number(least: float, most: float, *, above: bool = False) -> _Take:
    def take(given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise TypeError
        number = float(given)
        if not least <= number <= most or (above and number == least):
            raise ValueError
        return number

    return take


def _boolean(given: Any) -> bool:
    if isinstance(given, bool):
        return given
    if (text := _text(given).lower()) not in ("true", "false"):
        raise ValueError
    return text == "true"


def _optional(take: _Take) -> _Take:
    return lambda given: None if given is None else take(given)


def _tokens(given: Any) -> tuple[str, ...]:
    """The tokens of a comma-separated text, or of a list or tuple.

    Raises ValueError for a text such as "," that holds no token, since a server without tokens is open.
    """
    if not isinstance(given, str | list | tuple):
        raise TypeError
    texts = given.split(",") if isinstance(given, str) else given
    tokens = tuple(token.strip() for token in map(_text, texts) if token.strip())
    if given and not tokens:
        raise ValueError
    return tokens


_SECONDS = (_number(0, _YEAR, above=True), "a number of seconds, more than zero and at most a year")
_TAKES: dict[str, tuple[_Take, str]] = {
    "offline_store": (_implementation, " or ".join(OFFLINE_STORES)),
    "online_store_url": (_server, "a URL with a port from 1 to 65535, or an empty text for the embedded server"),
    "online_store_ca": (_path, "the path of a file"),
    "online_shards": (_whole_number(1, 10_000), "a whole number of shards, from 1 to 10,000"),
    "registry": (_path, "a folder, or gs://bucket/prefix"),
    "home": (_folder, "a folder"),
    "project": (_non_empty_text, "a text that is not empty"),
    "training_set_versions": (_optional(_whole_number(1, 1_000_000)), "a whole number of versions, 1 or more"),
    "lock_timeout": _SECONDS,
    "bigquery_project": (_text, "the name of a Google Cloud project"),
    "dataset": (_matching(r"[A-Za-z_][A-Za-z0-9_]{0,1023}"), "letters, digits, underscores"),
    "bigquery_location": (_text, "a location of BigQuery, such as europe-west3"),
    "bigquery_maximum_bytes_billed": (_optional(_whole_number(0, 2**63 - 1)), "a whole number of bytes, zero or more"),
    "bigquery_priority": (_one_of(Priority), "interactive or batch"),
    "bigquery_timeout": _SECONDS,
    "bigquery_price_per_tib": (_number(0, 1e12), "a price, zero or more"),
    "bigquery_hash_inputs": (_boolean, "true or false"),
    "bigquery_impersonate": (_text, "the e-mail address of a service account"),
    "definitions": (_definitions, "the name of a package or module, such as shop_features"),
    "audit_at_apply": (_boolean, "true or false"),
    "commit": (_text, "a text"),
    "now": (_optional(utc), "a time in ISO 8601, such as 2014-01-01T05:00Z, of the years 1 to 9999"),
    "http_host": (_non_empty_text, "a host name or an address"),
    "http_port": (_whole_number(1, 65_535), "a port number, from 1 to 65535"),
    "api_tokens": (_tokens, "tokens, separated by commas, or an empty text"),
    "api_tokens_read_only": (_tokens, "tokens, separated by commas, or an empty text"),
}
"""For each setting: the function that converts a value or its text, and a description of the accepted values."""
