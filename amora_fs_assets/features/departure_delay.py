"""The training set of a model that predicts late departures some hours before schedule."""

from ibis.expr.types import Table

from amora_fs_assets import training_set
from amora_fs_assets.features import services, sources


@training_set(service=services.departure_delay, sources=[sources.flights], owner="network@example.com")
def departure_delay(flights: Table) -> Table:
    """Every scheduled departure, asked one to four hours before; late: over 15 min, null where it was cancelled."""
    hours_before = 1 + flights.flight % 4  # by the number of the flight, so that the model learns from each distance
    return flights.select(
        "carrier",
        "flight",
        "tailnum",
        "origin",
        "dest",
        "scheduled_at",
        event_timestamp=flights.scheduled_at - hours_before.as_interval("h"),
        late=flights.dep_delay > 15,
    )
