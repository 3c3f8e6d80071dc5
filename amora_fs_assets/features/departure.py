"""Features of a departure at the time of the question: from the request, and from the aircraft's last departure."""

import ibis
from ibis.expr.types import Column

from amora_fs_assets import FeatureSchema, Field, SourceSchema, Timestamp, on_demand_feature_view, request_time
from amora_fs_assets.features.aircraft_history import aircraft_history

SAME_ROTATION = 12 * 3_600
"""A departure longer ago than this says nothing about the next one [s]."""


class Asked(SourceSchema):
    """What a request says of the departure."""

    scheduled_at: Timestamp = Field(description="Scheduled departure.")


class Departure(FeatureSchema):
    """The departure, seen from the time of the question."""

    minutes_to_departure: float = Field(description="Time until the scheduled departure [min].")
    scheduled_hour: int = Field(description="Hour of the scheduled departure [h, UTC].")
    previous_leg_delay: float = Field(
        description="Delay of the aircraft's departure in the last 12 hours [min]; null if there was none."
    )


@on_demand_feature_view(
    schema=Departure,
    inputs=[aircraft_history["last_departed_at", "last_delay"]],
    request=Asked,
    owner="network@example.com",
    tags={"domain": "operations"},
)
def departure(scheduled_at: Column, last_departed_at: Column, last_delay: Column) -> dict[str, Column]:
    recent = request_time().delta(last_departed_at, unit="second") < SAME_ROTATION
    return {
        "minutes_to_departure": scheduled_at.delta(request_time(), unit="second") / 60,
        "scheduled_hour": scheduled_at.hour().cast("int64"),
        "previous_leg_delay": recent.ifelse(last_delay, ibis.null("float64")),
    }
