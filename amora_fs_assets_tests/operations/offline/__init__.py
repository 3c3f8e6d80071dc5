"""Tests of computing."""
