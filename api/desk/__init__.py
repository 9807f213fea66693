"""The alert desk: findings and other signals in, one stream of alerts out, with a life cycle and notices that arrive."""
