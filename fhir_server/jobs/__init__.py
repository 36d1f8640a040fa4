"""Jobs: work that outlives its request, kept by PostgreSQL, done step by step by `hie worker`."""
