"""Evaluate: the candidate and the present champion, scored on the same held-out rows."""
