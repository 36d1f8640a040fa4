"""The versioned store: statements that read and write resources, their versions and index rows."""
