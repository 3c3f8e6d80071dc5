"""A view's rules, as the gates of computations and pushes run them."""
