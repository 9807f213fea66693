"""Analysts' own SQL: read only, on a copy of nothing but the serving files, in a process of its own that cannot outlive its limits."""
