"""Where rows of other systems are: tables, queries and files, and the columns with the times of their rows."""
