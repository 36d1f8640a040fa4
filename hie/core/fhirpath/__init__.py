"""FHIRPath N1 with what FHIR R4 adds to it: compiled expressions, values, units, patterns."""
