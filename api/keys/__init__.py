"""Keys of the API: their tables in PostgreSQL, the command that issues and revokes them, and what the API knows of them."""
