"""The whole project at once: the demo, its Dagster UI."""
