"""Quarantine: bad records looked at, repaired by rules or a patch, replayed through the same pipeline, or discarded; all of it audited."""
