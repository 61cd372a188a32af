"""The plan step: checks the parameters of all steps, and lists the shards of a source."""
