"""Content that is sent within resources: what of it is taken, and what scans it."""
