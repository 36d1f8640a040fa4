"""Element tables of FHIR R4 4.0.1 for types that fhir.resources (R4B) lacks or shapes differently.

Extracted by `fhir_server.definitions.r4_extract` from the StructureDefinitions in
`Bundle-resources.json` and `Bundle-types.json` of the package hl7.fhir.r4.examples 4.0.1
(HL7, CC0-1.0). Each file names its source, version and licence again.
"""
