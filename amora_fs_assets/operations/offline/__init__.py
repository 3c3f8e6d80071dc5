"""From sources to the offline store: compute, check, publish, and find intervals that are not current."""
