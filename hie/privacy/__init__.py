"""What of a record is shown to whom, and how it is made nobody's: masking, pseudonyms, de-identification."""
