"""From sources to the offline store: compute, check, publish, and find what is not current."""
