"""Ports: small protocols between operations and stores, each with one contract suite."""
