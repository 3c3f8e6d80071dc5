"""The product's definitions of the shop, as source text: changed code is another text, as it is for a real team."""

from __future__ import annotations

from amora_fs_assets_tests.soak.world import FILLED, SOURCES, START, TRAINING_SET, View, Views, feature_type

_PYTHON = {"int64": "int", "float64": "float", "string": "str", "timestamp": "Timestamp"}

_HEAD = '''"""Written by the soak."""
from datetime import timedelta

import ibis

from amora_fs_assets import (
    Entity, FeatureSchema, FeatureService, FeatureView, Field, Source, SourceSchema, Timestamp, TrainingSet, known_at,
    on_demand_feature_view,
)
'''

_TRANSFORMS = {
    "last_reading": """
    return readings.select(
        "device", event_timestamp=known_at(readings), value=readings["value"] * {variant}.0,{plus}
    )
""",
    "daily_spend": """
    ends = orders["at"].truncate("D") + ibis.interval(days=1)
    days = orders.group_by("customer", "shop", event_timestamp=ends).aggregate(
        sum=orders["amount"].sum(), orders=orders.count()
    )
    return days.select(
        "customer", "shop", "event_timestamp", "orders", total=days["sum"] * {variant},{plus}
    )
""",
    "recent": """
    moments = orders.group_by("customer", event_timestamp=orders["at"]).aggregate(amount=orders["amount"].sum())
    micros = moments["event_timestamp"].epoch_seconds()
    window = ibis.range_window(preceding=48 * 3600 - 1, following=0, group_by="customer", order_by=micros)
    summed = moments.mutate(sum=moments["amount"].sum().over(window))
    return summed.select(
        "customer", "event_timestamp", amount_48h=summed["sum"] * {variant},{plus}
    )
""",
    "profile": """
    return profiles.select(
        "customer", "name", event_timestamp=profiles["at"], created_timestamp=profiles["written_at"],
        score=profiles["score"] * {variant},{plus}
    )
""",
    "activity": """
    days = daily_spend.group_by("event_timestamp").aggregate(count=daily_spend.count(), sum=daily_spend["total"].sum())
    return days.select(
        "event_timestamp", spenders=days["count"] * {variant}, spent=days["sum"],{plus}
    )
""",
}

_PLUS = {
    "last_reading": 'readings["value"] + {n}.0',
    "daily_spend": 'days["sum"] + {n}',
    "recent": 'summed["sum"] + {n}',
    "profile": 'profiles["score"] + {n}',
    "activity": 'days["count"] + {n}',
}

_TAIL = f'''
def moments(orders):
    return orders.select("customer", "shop", event_timestamp=orders["at"], large=orders["amount"] > 25)


class FilledSchema(FeatureSchema):
    filled_amount_48h: int
    filled_score: int
    filled_spent: int


@on_demand_feature_view(schema=FilledSchema, inputs=[recent["amount_48h"], profile["score"], activity["spent"]])
def {FILLED}(amount_48h, score, spent):
    inputs = {{"amount_48h": amount_48h, "score": score, "spent": spent}}
    return {{f"filled_{{name}}": value.coalesce(-1) for name, value in inputs.items()}}


shopping = FeatureService("shopping", [daily_spend, recent, profile, activity, {FILLED}])
spine = TrainingSet("{TRAINING_SET}", shopping, [orders], spine=moments)
'''


def source_text(views: Views) -> str:
    """A module that defines the views as they are now, on the sources, and a training set."""
    parts = [_HEAD]
    for name, source in SOURCES.items():
        parts.append(f"class {name.title()}(SourceSchema):")
        parts += [f"    {column}: {_PYTHON[type_]} = Field(nullable=True)" for column, type_ in source.columns.items()]
        known = f', available_at="{source.known}"' if source.known else ""
        late = ", max_lateness=timedelta(days=5)" if source.known else ""
        parts.append(f'{name} = Source("{name}", {name.title()}, timestamp_field="{source.time}"{known}{late})\n')
    keys = {key: type_ for view in views.values() for key, type_ in view.keys.items()}
    parts += [f'{key} = Entity("{key}", description="A {key}.")' for key in keys]
    for view in views.values():
        parts.append(_view_text(view))
    parts.append(_TAIL)
    return "\n".join(parts)


def _view_text(view: View) -> str:
    schema = "".join(part.title() for part in view.name.split("_")) + "Schema"
    lines = [f"class {schema}(FeatureSchema):"]
    lines += [f"    {key}: {_PYTHON[type_]}" for key, type_ in view.keys.items()]
    if view.created:
        lines.append("    created_timestamp: Timestamp = Field(nullable=True)")
    for feature in view.all_features:
        least = "ge=-1000, " if feature_type(view, feature) != "string" else ""
        lines.append(f"    {feature}: {_PYTHON[feature_type(view, feature)]} = Field({least}nullable=True)")
    plus = "".join(f"plus_{n}={_PLUS[view.name].format(n=n)}, " for n in view.added)
    body = _TRANSFORMS[view.name].format(variant=view.variant, plus=" " + plus if plus else "")
    ttl = "None" if view.ttl is None else f"timedelta(seconds={int(view.ttl.total_seconds())})"
    start = START.isoformat()
    return "\n".join(lines) + (
        f"\n\ndef compute_{view.name}({view.reads}):{body}\n"
        f'{view.name} = FeatureView("{view.name}", {schema}, [{", ".join(view.keys)}], [{view.reads}],\n'
        f"    transform=compute_{view.name}, ttl={ttl}, partitions={view.partitions!r}, start={start!r},\n"
        f"    lookback=timedelta(seconds={int(view.lookback.total_seconds())}))\n"
    )
