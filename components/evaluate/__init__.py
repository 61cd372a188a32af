"""The evaluate step: scores the candidate and the champion on the same held-out rows."""
