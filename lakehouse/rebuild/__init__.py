"""Rebuild: silver and live gold made again from bronze beside the live tables, compared with them, and put in their place."""
