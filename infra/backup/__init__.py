"""Backups of the whole platform to one consistent point, and the way back. `globalmart backup`, `globalmart restore`."""
