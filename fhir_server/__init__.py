"""The FHIR R4 repository."""
