"""The feature store over HTTP: `amora-fs serve`."""
