"""Brings the champion to the serving pods: promote, canary, rollback, reconcile."""
