"""Consent: what patients let others see of their records, as facts for the access policy."""
