"""A definition's identity is what it computes."""
