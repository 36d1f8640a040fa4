"""Full text behind the commit: the words of what was written are indexed by the worker."""
