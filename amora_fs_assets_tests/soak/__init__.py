"""A year lived through: random histories of a whole feature store, compared with an independent model."""
