"""Tests of the online store's operations."""
