"""Situations in which a decision is simulated: (words, hits, runs, most, least) for each."""
