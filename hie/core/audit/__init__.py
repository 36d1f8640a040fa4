"""The audit trail: who did what, for whom and why; chained by hashes, append-only, verifiable."""
