"""Everything of Feast that has a counterpart, under names that do not fit, over two files of rows.py."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, PushSource, RequestSource, ValueType
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, String, UnixTimestamp

customer = Entity(
    name="customer",
    join_keys=["customer_id"],
    value_type=ValueType.INT64,
    description='A customer, "by number".',
    tags={"level": "top secret!"},
    owner="Ann",
)
branch = Entity(name="Shop-Branch", join_keys=["branch"], value_type=ValueType.STRING)

orders = FileSource(
    path="data/orders.parquet",  # no name: Feast takes the path
    timestamp_field="placed_at",
    created_timestamp_column="written_at",
    field_mapping={"cust": "customer_id", "order count": "orders"},
    description="One row per order.",
    owner="Jane Doe <jane@example.com>",
)
balances = FileSource(name="balances", path="data/balances.parquet", timestamp_field="event_timestamp")
pushed = PushSource(name="balances_push", batch_source=balances)

customer_orders = FeatureView(
    name="CustomerOrders",
    entities=[customer, branch],
    ttl=timedelta(days=2),
    schema=[
        Field(name="customer_id", dtype=Int64),
        Field(name="branch", dtype=String),
        Field(name="amount", dtype=Float64, description="Amount [EUR].", tags={"unit": "EUR"}),
        Field(name="orders", dtype=Int64),
        Field(name="class", dtype=String),
    ],
    source=orders,
    description="Orders, per customer and branch.\nA second line.",
    owner="sales",
    tags={"domain": "sales", "who?": "a b"},
)
balance = FeatureView(
    name="balances",
    entities=[customer],
    ttl=timedelta(0),
    schema=[
        Field(name="customer_id", dtype=Int64),
        Field(name="points", dtype=Int32),
        Field(name="score", dtype=Float32),
        Field(name="active", dtype=Bool),
        Field(name="token", dtype=Bytes),
        Field(name="since", dtype=UnixTimestamp),
        Field(name="recent", dtype=Array(Int64)),
        Field(name="labels", dtype=Array(String)),
    ],
    source=pushed,
    owner="team@example.com",
)
every = FeatureView(
    name="every_customer",
    entities=[],
    ttl=timedelta(hours=36),
    schema=[Field(name="points", dtype=Int32)],
    source=balances,
)


@on_demand_feature_view(
    sources=[balance, RequestSource(name="request", schema=[Field(name="price", dtype=Float64)])],
    schema=[Field(name="points_per_price", dtype=Float64)],
    mode="python",
)
def points_per_price(inputs):
    """Compute the points of one unit of the price."""
    return {
        "points_per_price": [
            None if p is None else p / q for p, q in zip(inputs["points"], inputs["price"], strict=True)
        ]
    }


whole = FeatureService(name="whole", features=[customer_orders, balance, every], owner="ml@example.com")
checkout = FeatureService(
    name="Checkout-Model",
    features=[
        customer_orders[["orders", "amount"]],
        balance[["points"]].with_name("buyer").with_join_key_map({"customer_id": "buyer_id"}),
        balance[["points", "score"]].with_name("Friend Of").with_join_key_map({"customer_id": "friend_id"}),
        points_per_price,
    ],
    description="Will this order be paid?",
    tags={"model": "checkout"},
)
same_name = FeatureService(name="balances", features=[customer_orders[["orders"]], balance[["score"]]])
same_view = FeatureService(name="every_customer", features=[every])
