"""Outbreak detectors, one file each, one signature: counts in, thresholds and alarms out."""
