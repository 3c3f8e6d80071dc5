"""Ibis expressions and table names that several operations share."""
