"""From a source to the shards that are read side by side."""
