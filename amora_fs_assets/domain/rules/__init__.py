"""The rules of columns and views: Pandera's checks as Ibis expressions, and the gate that a push runs."""
