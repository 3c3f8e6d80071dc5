"""Implementations of the ports: DuckDB, BigQuery, Redis, registries."""
