"""The operations of the FHIR API: one module each, found by itself (https://hl7.org/fhir/R4/operations.html)."""
