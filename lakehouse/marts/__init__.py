"""The marts of gold: one module each, a pure transform from facts and silver to the rows of one day."""
