"""An on-demand view in a project of `amora-fs init`, outside this repository: trained, and served without its code."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = '''
from amora_fs_assets import FeatureSchema, FeatureService, on_demand_feature_view, training_set

from shop import sources
from shop.customer_orders import customer_orders


class Checkout(FeatureSchema):
    """The basket beside the customer's last day with an order."""

    share: float
    size: str


@on_demand_feature_view(schema=Checkout, inputs=[customer_orders["amount"]], request={"basket": float})
def checkout(amount, basket):
    return {"share": basket / amount, "size": (basket > 50).ifelse("large", "small")}


baskets = FeatureService("baskets", [customer_orders["orders"], checkout])


@training_set(service=baskets, sources=[sources.orders])
def paid(orders):
    return orders.select("customer", "order_id", basket=orders.amount, event_timestamp=orders.ordered_at)
'''
SERVER = """
import json, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ibis", "dagster", "shop"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from amora_fs_assets import FeatureStore, Settings
with FeatureStore(Settings(home=sys.argv[1])) as store:
    answer = store.get_online_features("baskets", json.loads(sys.argv[2]))
    print(json.dumps([answer.to_dict(), answer.event_timestamps["share"][0].isoformat()]))
"""
TRAINER = """
import json, sys
import pandas as pd
from amora_fs_assets import FeatureStore, Settings
with FeatureStore(Settings(home=sys.argv[1])) as store:
    built = store.load_training_set("paid").astype({"order_id": str}).set_index("order_id")[["share", "size"]]
    spine = pd.DataFrame({**json.loads(sys.argv[2]), "event_timestamp": pd.Timestamp(sys.argv[3])})
    joined = store.get_historical_features("baskets", spine).to_arrow().to_pydict()
    print(json.dumps([built.astype(object).where(built.notna(), None).to_dict("index"),
                      {name: joined[name] for name in ("orders", "share", "size")}]))
"""


def run(folder: Path, *command: str) -> str:
    """The standard output of a command of this installation, in a process that knows nothing of this repository."""
    left_out = ("AMORA_FS_", "PYTHONPATH", "DAGSTER_HOME")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    program = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run([program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def amount_before(orders: list[dict[str, Any]], customer: int, instant: datetime) -> float | None:
    """The customer's amount of the last day with an order that was over at the instant; None without such a day."""
    days = [
        order["day"] for order in orders
        if order["customer"] == customer and order["day"] + timedelta(days=1) <= instant
    ]  # fmt: skip
    last = max(days, default=None)
    return sum(each["amount"] for each in orders if (each["customer"], each["day"]) == (customer, last)) or None


@pytest.mark.slow
def test_a_project_trains_and_serves_an_on_demand_view(tmp_path: Path) -> None:
    run(tmp_path, "amora-fs", "init", "shop")
    project, elsewhere = tmp_path / "shop", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "shop" / "checkout.py").write_text(CHECKOUT)
    orders: list[dict[str, Any]] = []
    with (project / "shop" / "data" / "orders.csv").open() as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["ordered_at"])
            day = at.replace(hour=0, minute=0, second=0, microsecond=0)
            amount, customer = float(row["amount"]), int(row["customer"])
            orders.append({"id": row["order_id"], "customer": customer, "at": at, "day": day, "amount": amount})

    run(project, "amora-fs", "apply")
    run(project, "amora-fs", "compute")
    run(project, "amora-fs", "materialize-incremental")
    try:
        said = run(project, "amora-fs", "get-online", "baskets", "--entity", "customer=1,basket=60", "--json")
        home, asked = str(project / ".amora_fs"), json.dumps({"customer": [1, 3, 999], "basket": [60.0, 5.0, 1.0]})
        served, at_request = json.loads(run(elsewhere, "python", "-c", SERVER, home, asked))
        run(project, "amora-fs", "training-sets", "build", "paid")
        trained, joined = json.loads(run(project, "python", "-c", TRAINER, home, asked, at_request))
    finally:
        run(project, "amora-fs", "stop")

    now = datetime.now(UTC)
    before = [amount_before(orders, customer, now) for customer in (1, 3)]
    assert served["share"] == [pytest.approx(60.0 / (before[0] or 0)), pytest.approx(5.0 / (before[1] or 0)), None]
    assert served["size"] == ["large", "small", "small"]
    assert json.loads(said)["values"]["share"] == served["share"][:1]
    assert {name: served[name] for name in joined} == joined
    assert len(trained) == len(orders)
    for order in orders:
        last_day = amount_before(orders, order["customer"], order["at"])
        right = [None if last_day is None else order["amount"] / last_day]
        assert [trained[order["id"]]["share"]] == pytest.approx(right)
        assert trained[order["id"]]["size"] == ("large" if order["amount"] > 50 else "small")
