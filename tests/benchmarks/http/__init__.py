"""Load over HTTP: a generator, a server with its database, and resources to send."""
