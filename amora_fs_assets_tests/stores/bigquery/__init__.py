"""Tests of BigQuery's offline store."""
