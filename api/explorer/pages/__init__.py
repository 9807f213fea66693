"""One module a page: its address, its parameters, which figures go into which template."""
