"""The bundled Valkey server that a home starts for itself."""
