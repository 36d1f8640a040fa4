"""$graphql: parts of resources, and of those they refer to, in one request (https://hl7.org/fhir/R4/graphql.html)."""
