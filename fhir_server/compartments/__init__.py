"""Compartments: what belongs to a patient, an encounter, a device (https://hl7.org/fhir/R4/compartmentdefinition.html)."""
