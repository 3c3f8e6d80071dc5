"""Tests of DuckDB's offline store."""
