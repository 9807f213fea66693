"""What each page shows, read from the serving files: rows and totals, nothing of how they look."""
