"""Records of runs, including the runs that were killed."""
