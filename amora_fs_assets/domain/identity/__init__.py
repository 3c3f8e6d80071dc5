"""The identity of a definition: a hash of the canonical form of its expressions and code."""
