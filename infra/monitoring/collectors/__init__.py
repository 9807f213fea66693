"""What the monitor looks at from outside: each module is one subject, read with the monitor's own rights."""
