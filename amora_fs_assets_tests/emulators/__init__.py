"""Google Cloud on this machine: emulators of BigQuery and Cloud Storage, started and stopped by the tests."""
