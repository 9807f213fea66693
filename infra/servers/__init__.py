"""One module per server of the local stack: how it is prepared, started and found healthy."""
