"""What every HTTP surface shares: errors on the wire, request limits."""
