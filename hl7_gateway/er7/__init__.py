"""Reading and writing ER7, the vertical-bar encoding of HL7 v2."""
