"""Grafana as code: dashboards over the PostgreSQL mirror, their data source, alert rules and the server's settings. docs/dashboards.md."""
