"""AuditEvent as a resource: the audit trail searched and read like everything else."""
