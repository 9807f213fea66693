"""Great Expectations over the lake's tables: rules as data, suites built from them, and one function that judges a table."""
