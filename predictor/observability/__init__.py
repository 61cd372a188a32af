"""Metrics for Prometheus, logs, and the request log."""
