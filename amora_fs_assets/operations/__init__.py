"""The verbs: compute, check, join, materialize, serve."""
