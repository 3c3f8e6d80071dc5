"""What the release before meanings left behind is taken over by this one, with nothing computed again."""
