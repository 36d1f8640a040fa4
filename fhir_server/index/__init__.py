"""What a resource can be found by: rows of typed index tables, made by compiled path walkers."""
