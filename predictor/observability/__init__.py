"""Metrics, logs and the log of recent requests."""
