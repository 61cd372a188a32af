"""What the steps hand to each other: sources, shards, datasets, moments, settings, scores and reports."""
