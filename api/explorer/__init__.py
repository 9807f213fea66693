"""The web explorer: pages rendered on the server from the same figures as the API, with charts drawn in the browser."""
