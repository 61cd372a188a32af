"""The plan step: lists the shards of a source."""
