"""What plugins import, and the data that flows between the rooms: errors, protocols, records, hooks, rows."""
