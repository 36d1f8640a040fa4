"""What FHIR R4 defines, as tables: resource types, search parameters, elements."""
