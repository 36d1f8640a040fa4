"""The HL7 v2 gateway: from a socket to a FHIR transaction."""
