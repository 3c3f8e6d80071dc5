"""The identity of a definition: hashes of all that it says, and of what its expressions and code compute."""
