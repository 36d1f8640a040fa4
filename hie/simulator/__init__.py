"""The synthetic city: people, hospitals, visits, and the HL7 v2 they send."""
