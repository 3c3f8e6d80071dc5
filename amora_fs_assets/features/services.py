"""Feature services: the features of each model."""

from amora_fs_assets import FeatureService
from amora_fs_assets.features.aircraft_history import aircraft_history
from amora_fs_assets.features.airport_congestion import airport_congestion
from amora_fs_assets.features.airport_location import airport_location
from amora_fs_assets.features.airport_weather import airport_weather
from amora_fs_assets.features.carrier_punctuality import carrier_punctuality
from amora_fs_assets.features.network_load import network_load
from amora_fs_assets.features.route_delays import route_delays

departure_delay = FeatureService(
    "departure_delay",
    [
        carrier_punctuality["mean_delay", "late_share"],
        airport_congestion.alias("origin_congestion", join_keys={"airport": "origin"}),
        aircraft_history,
        route_delays,
        airport_weather.alias("origin_weather", join_keys={"airport": "origin"}),
        network_load,
        airport_location["latitude", "longitude"].alias("destination", join_keys={"faa": "dest"}),
    ],
    description="Will this departure be late?",
    owner="network@example.com",
)
