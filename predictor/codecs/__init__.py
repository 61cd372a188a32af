"""Formats: JSON, CSV, Arrow, tensors and compression; no I/O."""
