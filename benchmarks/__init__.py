"""The numbers in the documentation, measured: one module a subject, its last results in `results/`."""
