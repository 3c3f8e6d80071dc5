"""The sample's Dagster code location: the environment's settings, the definitions of `amora_fs_assets.features`."""

from amora_fs_assets.orchestration.code_location import build_definitions, executor_for
from amora_fs_assets.settings import Settings

settings = Settings.from_env()
defs = build_definitions(
    settings, definitions="amora_fs_assets.features", overrides={"executor": executor_for(settings)}
)
