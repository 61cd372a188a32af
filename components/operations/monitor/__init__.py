"""Reads recorded predictions: drift, quality, whether a retraining is due, and new training data."""
