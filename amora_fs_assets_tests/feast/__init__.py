"""A stock Feast client that reads the registry."""
