"""The functions of FHIRPath, one module for each section of the specification."""
