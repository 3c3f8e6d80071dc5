"""Whatever a caller hands over is answered, or refused by an error of the feature store; nothing is left behind."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Settings, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.errors import FeatureStoreError, InvalidRequest, NotFound

US = pa.timestamp("us", tz="UTC")
CLOCK = datetime(2020, 3, 1, tzinfo=UTC)
LAST = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


class Words(SourceSchema):
    word: str
    number: int
    at: Timestamp
    x: int


class Counts(FeatureSchema):
    """What is counted of a word and a number."""

    word: str
    number: int
    x: int


def _rows() -> pa.Table:
    return pa.table({"word": ["a"], "number": [1], "at": pa.array([datetime(2020, 1, 1, tzinfo=UTC)], US), "x": [1]})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeatureStore]:
    """One view, online and offline."""
    words = Source("words", Words, timestamp_field="at", loader=_rows)
    counts = FeatureView(
        "counts", Counts, [Entity("pair", ["word", "number"])], [words], partitions="month", start="2020-01-01",
        transform=lambda words: words.rename(event_timestamp="at"),
    )  # fmt: skip
    module = types.ModuleType("definitions")
    vars(module)["counts"] = counts
    with FeatureStore(Settings(home=tmp_path_factory.mktemp("home"), now=CLOCK), definitions=module) as store:
        store.apply()
        store.compute("2020-01-01", CLOCK)
        store.materialize_incremental()
        yield store
        assert staged(store.settings.home) == []


def staged(home: Path) -> list[str]:
    with duckdb.connect(str(home / "offline.duckdb"), read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
    return [name for (name,) in names if name.startswith(("_staged_", "_frame_"))]


MOMENTS: list[Any] = [
    datetime(2020, 1, 2, tzinfo=UTC), datetime(2020, 1, 2), date(2020, 1, 2), LAST, datetime.min, None, pd.NaT,
    pd.Timestamp("2020-01-02", tz="America/New_York"), np.datetime64("2020-01-02"),
]  # fmt: skip
JUNK: list[Any] = [
    None, True, 0, -1, 2**63, 2**70, 1.5, float("nan"), float("inf"), Decimal("1.5"), "", "a", "counts", "counts:x",
    "counts:", ":x", "a@b", "\ud800", "\x00", "'; DROP TABLE x; --", "é" * 300, b"a", b"\xff", (), [], [None], [[]], {},
    {"a": 1}, {1, 2}, object(), int, len, timedelta(1), pd.NA, pd.Series([1]), pd.DataFrame({"a": [1]}),
    pl.DataFrame({"a": [1]}), pa.table({"a": [1]}), np.array([1, 2]), np.int64(1), iter(["counts:x"]), *MOMENTS,
    "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00+14:00", "soon",
    datetime.max.replace(tzinfo=timezone(-timedelta(1) / 2)),
    lambda: 1, types.ModuleType("m"), Entity("e"), ["counts:x", 1], ["counts:x", "counts:x"], [["counts:x"]],
]  # fmt: skip
junk = st.sampled_from(range(len(JUNK))).map(JUNK.__getitem__)
KEYS = st.sampled_from([["a"], [None], [1], ["\ud800"], [b"a"], ["a", 1], [["a"]], [1.5], [True], [2**64], [pd.NA], []])


def outcome(call: Callable[[], Any]) -> Any:
    """The answer; None for an error of the feature store. Whatever else is raised fails the test."""
    with contextlib.suppress(FeatureStoreError):
        return call()


def taken(result: Any) -> None:
    """Take the rows in every way."""
    for take in ("to_sql", "to_df", "to_polars"):
        outcome(getattr(result, take))
    outcome(lambda: list(result.to_arrow_batches()))
    outcome(lambda: result.to_table("lab.edges"))


FUZZED = settings(
    max_examples=5, deadline=None, phases=set(Phase) - {Phase.shrink, Phase.explain},
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
CALLS: dict[str, Callable[[FeatureStore, Callable[[], Any]], Any]] = {
    "compute": lambda fs, any_: fs.compute(any_(), any_(), any_()),
    "coverage": lambda fs, any_: fs.coverage(any_()),
    "materialize": lambda fs, any_: fs.materialize(any_(), any_(), any_()),
    "materialize_incremental": lambda fs, any_: fs.materialize_incremental(any_(), any_()),
    "online": lambda fs, any_: fs.get_online_features(any_(), any_(), any_(), timeout=any_()),
    "online rows": lambda fs, any_: fs.get_online_features("counts", any_()),
    "online columns": lambda fs, any_: fs.get_online_features("counts", {"word": any_(), "number": any_()}),
    "online dicts": lambda fs, any_: fs.get_online_features("counts", [{"word": any_(), "number": any_()}, any_()]),
    "online timeout": lambda fs, any_: fs.get_online_features("counts", {"word": ["a"], "number": [1]}, timeout=any_()),
    "features": lambda fs, any_: fs.get_online_features(any_(), {"word": ["a"], "number": [1]}),
    "historical": lambda fs, any_: taken(fs.get_historical_features(any_(), any_(), any_(), any_())),
    "historical rows": lambda fs, any_: taken(fs.get_historical_features("counts", any_())),
    "historical times": lambda fs, any_: taken(fs.get_historical_features("counts", start=any_(), end=any_())),
    "to_table": lambda fs, any_: fs.get_historical_features("counts", start=CLOCK, end=CLOCK).to_table(any_()),
    "load_training_set": lambda fs, any_: fs.load_training_set(any_(), any_(), as_of=any_(), as_type=any_()),
    "parity": lambda fs, any_: fs.parity("counts", sample=any_()),
    "parity view": lambda fs, any_: fs.parity(any_()),
    "rollback": lambda fs, any_: fs.rollback(any_(), any_()),
    "unpin": lambda fs, any_: fs.unpin(any_()),
    "get_feature_view": lambda fs, any_: fs.get_feature_view(any_()),
    "get_feature_service": lambda fs, any_: fs.get_feature_service(any_(), any_()),
    "as_of": lambda fs, any_: FeatureStore(fs.settings, fs._given, any_()).list_entities(),
    "definitions": lambda fs, any_: FeatureStore(fs.settings, any_()).code,
    "settings": lambda _, any_: FeatureStore(any_()),
    "apply": lambda fs, any_: fs.apply(planned=any_()),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_with_anything_is_answered_or_refused(store: FeatureStore, call: str) -> None:
    @FUZZED
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        outcome(lambda: CALLS[call](store, lambda: data.draw(junk)))

    tried()
    assert staged(store.settings.home) == []


COLUMNS: list[Any] = [
    [1], [None], ["a"], ["\ud800"], [b"\xff"], [1.5], [True], [Decimal("1.5")], [date(2020, 1, 2)], [timedelta(1)],
    [[1, None]], [{"a": 1}], [2**63], [float("nan")], *([moment] for moment in MOMENTS), [object()], [1 + 2j],
    [LAST + timedelta(0)], [np.float16(1)],
]  # fmt: skip
NAMES = [
    "word",
    "number",
    "event_timestamp",
    "x",
    "X",
    "_row",
    "a.b",
    'a"b',
    "a`b",
    "",
    " ",
    "é",
    "\x00",
    "__index_level_0__",
]


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(range(len(COLUMNS))).map(COLUMNS.__getitem__), max_size=5),
    st.sampled_from(["pandas", "arrow", "polars", "twice"]),
)
@settings(FUZZED, max_examples=12)
def test_a_frame_of_any_columns_is_joined_or_refused(store: FeatureStore, columns: dict[str, Any], kind: str) -> None:
    good = {"word": ["a"], "number": [1], "event_timestamp": [datetime(2020, 1, 2, tzinfo=UTC)]}
    try:
        match kind:
            case "pandas":
                asked: Any = pd.DataFrame(good | columns)
            case "arrow":
                asked = pa.table(good | columns)
            case "polars":
                asked = pl.DataFrame({name.replace("\x00", "0"): values for name, values in (good | columns).items()})
            case _:
                one, other = pd.DataFrame(good), pd.DataFrame(columns)
                asked = pd.concat([one, other], axis=1)
    except Exception:  # noqa: BLE001  (such a frame cannot be)
        return
    taken_of = outcome(lambda: store.get_historical_features("counts", asked, full_feature_names=True))
    if taken_of is not None:
        taken(taken_of)
    outcome(lambda: store.get_online_features("counts", asked))
    assert staged(store.settings.home) == []


SELECTS = [
    "INTERVAL 1 DAY", "TIME '12:00'", "{'a': 1}", "MAP {'a': 1}", "[1, NULL]",
    "170141183460469231731687303715884105727",
    "uuid()", "'a'::ENUM ('a')", "'101'::BIT", "union_value(n := 1)", "TIMETZ '12:00+01'", "TIMESTAMP_NS '2020-01-01'",
    "NULL", "18446744073709551615::UBIGINT", "DATE '9999-12-31'", "'infinity'::TIMESTAMP", "'1'::JSON",
    "TIMESTAMPTZ '290000-01-01'", "1::DECIMAL(38, 30)", "'\x00'", "'x' AS x, 'X'",
]  # fmt: skip


@pytest.mark.parametrize("value", SELECTS)
def test_a_select_of_any_type_is_joined_or_refused(store: FeatureStore, value: str) -> None:
    for name, keys in (("d", "'a' AS word, 1 AS number, TIMESTAMPTZ '2020-01-05' AS event_timestamp, "),
                       ("event_timestamp", "'a' AS word, 1 AS number, "),
                       ("number", "'a' AS word, TIMESTAMPTZ '2020-01-05' AS event_timestamp, ")):  # fmt: skip
        asked = outcome(partial(store.get_historical_features, "counts", f"SELECT {keys}{value} AS {name}"))
        if asked is not None and name == "d":
            taken(asked)
        elif asked is not None:  # as a key or a time it is cast before it is taken
            outcome(asked.to_arrow)
    assert staged(store.settings.home) == []


@pytest.mark.parametrize(
    "select", ["", ";", "SELEC", "SELECT", "SELECT 1", "SELECT * FROM data", "SELECT * FROM rows", "\ud800", "\x00"]
)
def test_what_is_no_select_of_moments_is_refused(store: FeatureStore, select: str) -> None:
    """Not even a table that is called as a variable of the store's own code is found."""
    with pytest.raises(FeatureStoreError):
        store.get_historical_features("counts", select).to_arrow()


def _word(**changes: Any) -> dict[str, Any]:
    return {"word": ["a"], "number": [1], **changes}


def _at(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame({"word": ["a", "b"], "number": 1, "event_timestamp": CLOCK, **changes})


_INTERVAL = "SELECT 'a' AS word, 1 AS number, TIMESTAMPTZ '2020-01-05' AS event_timestamp, INTERVAL 1 DAY AS d"
_TWICE = pd.DataFrame([["a", "b", 1]], columns=["word", "word", "number"])
_LATER, _EARLIER = "2020-02-01", "2020-01-01"
REFUSED: list[tuple[str, Callable[[Any], Any]]] = [
    ("word.*several types", lambda fs: fs.get_historical_features("counts", _at(word=["a", 1]))),
    ("before the start.*Swap", lambda fs: fs.get_historical_features("counts", start=_LATER, end=_EARLIER)),
    ("before the start.*Swap", lambda fs: fs.compute(_LATER, _EARLIER)),
    ("before the start.*Swap", lambda fs: fs.materialize(_LATER, _EARLIER)),
    ("start='soon'", lambda fs: fs.compute("soon", _LATER)),
    ("features is NoneType", lambda fs: fs.get_online_features(None, _word())),
    ("two columns 'word'", lambda fs: fs.get_online_features("counts", _TWICE)),
    ("two columns 'word'", lambda fs: fs.get_historical_features("counts", _TWICE)),
    ("not valid Unicode", lambda fs: fs.get_online_features("counts", _word(word=["\ud800"]))),
    ("feature_views is 'counts'", lambda fs: fs.compute(_EARLIER, _LATER, "counts")),
    ("timeout is 'soon'", lambda fs: fs.get_online_features("counts", _word(), timeout="soon")),
    ("sample is -1", lambda fs: fs.parity("counts", sample=-1)),
    ("lack join key 'number'.*'word', 5", lambda fs: fs.get_online_features("counts", [{"word": "a", 5: 1}])),
    ("'d'.*interval", lambda fs: fs.get_historical_features("counts", _INTERVAL).to_arrow()),
    ("note.*to_df", lambda fs: fs.get_historical_features("counts", _at(note=[1, "a"])).to_arrow()),
    ("settings is", lambda _: FeatureStore({"home": "x"})),  # type: ignore[arg-type]
    ("planned is", lambda fs: fs.apply(planned="now")),
]


@pytest.mark.parametrize(("said", "call"), REFUSED)
def test_an_error_names_the_argument(store: FeatureStore, said: str, call: Callable[[Any], Any]) -> None:
    with pytest.raises(InvalidRequest, match=said):
        call(store)


def test_a_name_of_nothing_is_not_found(store: FeatureStore) -> None:
    for call in (store.get_feature_view, store.get_feature_service, store.parity):
        with pytest.raises(NotFound):
            call("nothing")


def test_a_polars_frame_asks_as_a_pandas_frame_does(store: FeatureStore) -> None:
    store.materialize_incremental(full=True)
    asked: dict[str, list[Any]] = {"word": ["a", None], "number": [1, 1]}
    frames: list[Any] = [asked, pl.DataFrame(asked), pa.table(asked)]
    answers = [store.get_online_features("counts", each).to_dict() for each in frames]
    assert answers == [{**asked, "x": [1, None]}] * 3
