"""The patch languages of FHIR's PATCH interaction, on JSON (https://hl7.org/fhir/R4/http.html#patch)."""
