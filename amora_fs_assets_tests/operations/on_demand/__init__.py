"""Features that are computed at request time."""
