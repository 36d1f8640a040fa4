"""Validation after StructureDefinitions: profiles, their slices, bindings, references and extensions."""
