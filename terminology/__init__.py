"""Codes: concept maps and value sets, Chinese ones first."""
