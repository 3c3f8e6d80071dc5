"""The example of the documentation, as a user runs it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets_tests.operations.on_demand.shop import TIME
from amora_fs_assets_tests.operations.stores import fill

NOW = datetime(2026, 1, 20, 12, 30, tzinfo=UTC)


def load() -> pa.Table:
    times = [NOW - timedelta(days=2), NOW - timedelta(hours=1, minutes=30)]
    return pa.table(
        {"customer": ["a", "a"], "paid_at": pa.array(times, TIME), "amount": [60.0, 20.0], "product": ["tea", "cup"]}
    )


def test_the_examples_run(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "writing-features.md").read_text()
    fill(tmp_path, {"raw.orders": load()})
    names: dict[str, Any] = {"__name__": __name__}
    for title in ("## Rolling windows", "### Time since the last event", "## Features at request time"):
        code = page.split(title)[1].split("```python\n")[1].split("```")[0]
        exec(compile(code, title, "exec", dont_inherit=True), names)
    with FeatureStore(Settings(home=tmp_path, now=NOW), Catalogue.of([names["checkout"], names["reminders"]])) as store:
        store.apply()
        store.compute("2026-01-18", NOW)
        store.materialize_incremental()
        served = store.get_online_features("checkout", {"customer": ["a", "b"], "basket": [40.0, 40.0]}).to_dict()
        assert served["share_of_spend"] == [0.5, None]
        assert served["idle"] == [90 * 60.0, None]
        spine = pd.DataFrame({"customer": ["a", "b"], "basket": [40.0, 40.0], "event_timestamp": [NOW, NOW]})
        joined = store.get_historical_features("checkout", spine).to_arrow().to_pydict()
        assert {name: joined[name] for name in served} == served
        served = store.get_online_features("reminders", {"customer": ["a", "b"]}).to_dict()
        assert served == {"customer": ["a", "b"], "orders_30d": [2, None], "since_last_order": [90 * 60.0, None]}
        joined = store.get_historical_features("reminders", spine).to_arrow().to_pydict()
        assert {name: joined[name] for name in served} == served
