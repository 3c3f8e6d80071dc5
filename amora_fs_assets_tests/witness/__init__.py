"""The SQL for BigQuery, before Google's own analyzer of GoogleSQL (ZetaSQL): names, functions, argument types."""
