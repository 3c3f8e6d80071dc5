"""Tests of rolling windows."""
