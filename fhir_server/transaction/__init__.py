"""Transaction and batch Bundles: from entries to versions (https://hl7.org/fhir/R4/http.html#transaction)."""
