"""What the platform measures of itself: one typed list of all metrics, and how a process exposes its own."""
