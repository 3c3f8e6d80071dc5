"""Feature services: the features of each model."""

from amora_fs_assets import FeatureService
from amora_fs_assets.features.aircraft_history import aircraft_history
from amora_fs_assets.features.airport_congestion import airport_congestion
from amora_fs_assets.features.airport_location import airport_location
from amora_fs_assets.features.airport_weather import airport_weather
from amora_fs_assets.features.carrier_punctuality import carrier_punctuality
from amora_fs_assets.features.departure import departure
from amora_fs_assets.features.network_load import network_load
from amora_fs_assets.features.recent_weather import recent_weather
from amora_fs_assets.features.route_delays import route_delays

departure_delay = FeatureService(
    "departure_delay",
    [
        carrier_punctuality["mean_delay_1h", "late_share_24h", "late_share_30d"],
        airport_congestion["airport_departures_3h", "airport_delay_1h", "airport_delay_3h"].alias(
            "origin_congestion", join_keys={"airport": "origin"}
        ),
        aircraft_history["seats", "built"],
        departure,
        route_delays["route_delay_7d", "route_delay_30d"],
        airport_weather["temperature", "wind_speed", "precipitation", "visibility"].alias(
            "origin_weather", join_keys={"airport": "origin"}
        ),
        recent_weather["rain_3h", "least_visibility_3h"].alias(
            "origin_recent_weather", join_keys={"airport": "origin"}
        ),
        network_load["network_delay_24h"],
        airport_location["latitude", "longitude"].alias("destination", join_keys={"faa": "dest"}),
    ],
    description="Will this departure be late?",
    owner="network@example.com",
)
