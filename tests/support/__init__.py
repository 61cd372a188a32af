"""Pieces that several test packages share: a predictor process, model folders, raw HTTP, waiting."""
