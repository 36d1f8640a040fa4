"""The concept maps as data files: one YAML file for each map."""
