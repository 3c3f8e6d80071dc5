"""The words: definitions, records, ports, errors."""
