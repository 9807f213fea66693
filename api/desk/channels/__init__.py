"""The ways out of the desk: each module sends one notice, once."""
