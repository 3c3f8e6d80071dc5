"""The bundled Valkey server, one per home."""
