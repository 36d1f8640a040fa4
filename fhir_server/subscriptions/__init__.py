"""Subscriptions of R4 and of the R5 Backport guide: who is told of what, in order, at least once."""
