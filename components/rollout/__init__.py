"""Rollout: from the registry's champion to what every pod serves, watched, and back."""
