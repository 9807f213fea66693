"""What people look at in a browser: pages and the charts on them."""
