"""What every feature stands on: settings, errors, ports, database, clock."""
