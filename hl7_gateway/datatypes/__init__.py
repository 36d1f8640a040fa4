"""HL7 v2 data types to FHIR data types, one module a type."""
