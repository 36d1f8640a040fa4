"""Validation of resources: the structural validator and fhir.resources behind one port."""
