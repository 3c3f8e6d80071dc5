"""BigQuery as the offline store."""
