"""Keeps predictions and ground truth for the next training."""
