"""Tests of shared expressions."""
