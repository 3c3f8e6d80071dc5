"""What a definition computes, as a hash: the canonical form of expressions and of code."""
