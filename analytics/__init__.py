"""Early warning and statistics on the pooled record."""
