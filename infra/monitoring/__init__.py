"""Monitoring: the monitor's process, its collectors, the configuration of Prometheus and Alertmanager, and their rules."""
