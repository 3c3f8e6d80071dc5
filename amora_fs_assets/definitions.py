"""The sample's Dagster code location: the environment's settings, the definitions of `amora_fs_assets.features`."""

from amora_fs_assets.orchestration.code_location import build_definitions
from amora_fs_assets.settings import Settings

defs = build_definitions(Settings.from_env(), definitions="amora_fs_assets.features")
