"""Where data scientists live: the definitions of a real case, the flights that left New York City in 2013."""
