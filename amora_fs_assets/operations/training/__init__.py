"""Historical features and versions of training sets."""
