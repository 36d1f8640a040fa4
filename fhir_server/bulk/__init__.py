"""Bulk Data: `$export` and `$import` of NDJSON (https://hl7.org/fhir/uv/bulkdata/STU2/)."""
