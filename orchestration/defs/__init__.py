"""All Dagster definitions, found by themselves: one module per concept."""
