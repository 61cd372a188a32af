"""Formats: JSON (small, bulk and strict), CSV, Arrow, the tensors of V2, and compression; no I/O."""
