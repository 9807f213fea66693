"""Live views: what gold says seconds after the event. Each view keeps state in memory that it can load from the lake at any ledger entry."""
