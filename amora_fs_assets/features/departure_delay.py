"""The training set of a model that predicts late departures two hours before schedule."""

import ibis
from ibis.expr.types import Table

from amora_fs_assets import training_set
from amora_fs_assets.features import services, sources


@training_set(service=services.departure_delay, sources=[sources.flights], owner="network@example.com")
def departure_delay(flights: Table) -> Table:
    """Every scheduled departure, asked two hours before; late: over 15 min, null where it was cancelled."""
    return flights.select(
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "scheduled_at",
        event_timestamp=flights.scheduled_at - ibis.interval(hours=2),
        late=flights.dep_delay > 15,
    )
