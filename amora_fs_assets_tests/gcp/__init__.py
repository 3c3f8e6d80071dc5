"""The suites against a real Google Cloud project: `make test-gcp PROJECT=... BUCKET=...`."""
