"""Search (https://hl7.org/fhir/R4/search.html): parse to a syntax tree, compile to SQL, page by cursor."""
