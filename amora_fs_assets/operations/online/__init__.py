"""From the offline store to the online store, and reading and pushing online values."""
