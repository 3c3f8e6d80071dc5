"""Request-time features: their formulas as data, and the evaluation of formulas in engines and in Python."""
