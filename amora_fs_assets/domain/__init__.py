"""Definitions, records, ports and errors."""
