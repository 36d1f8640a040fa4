"""FHIR data as this project handles it: JSON text and plain dictionaries."""
