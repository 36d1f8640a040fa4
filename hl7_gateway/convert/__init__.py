"""The conversion engine: HL7 v2 messages to FHIR transaction Bundles by maps."""
