"""MLLP: HL7 v2 messages over TCP, framed and acknowledged."""
