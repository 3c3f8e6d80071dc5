"""The parts of FeatureStore: its stores, and its methods by topic."""
