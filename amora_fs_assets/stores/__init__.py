"""The ports' implementations: DuckDB, BigQuery, Redis, registries."""
