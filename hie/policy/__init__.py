"""The access policy: rules as data, decided by a pure function of facts (docs/adr/0005)."""
