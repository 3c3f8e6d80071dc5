"""The entities that features describe."""

from amora_fs_assets import Entity

carrier = Entity("carrier", description="Airline, by its two-letter code.")
airport = Entity("airport", description="Airport, by its FAA code.")
aircraft = Entity("aircraft", join_keys=["tailnum"], description="Aircraft, by its tail number.")
route = Entity("route", join_keys=["origin", "dest"], description="Pair of airports, by their FAA codes.")
location = Entity("location", join_keys=["faa"], description="Airport as the FAA lists it.")
