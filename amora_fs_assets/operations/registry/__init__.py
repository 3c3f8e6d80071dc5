"""Definitions in the registry: plan a change, apply the change, show history and lineage."""
