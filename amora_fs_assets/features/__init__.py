"""The sample's definitions: flights that left New York City in 2013."""
