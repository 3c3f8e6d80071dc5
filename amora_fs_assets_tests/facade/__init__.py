"""The methods of FeatureStore, by topic."""
