"""Dagster: definitions as assets, checks and resources."""
