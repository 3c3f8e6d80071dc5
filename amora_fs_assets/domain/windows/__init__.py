"""Rolling windows over events: durations, aggregates, and the expression that computes them."""
