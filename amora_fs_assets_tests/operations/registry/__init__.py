"""Tests of plan, apply, history and lineage."""
