"""Dagster: what the batch side makes, from what, when, and how it is judged. The work itself is in `lakehouse`."""
