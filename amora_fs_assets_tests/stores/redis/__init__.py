"""Tests of Redis' online store."""
