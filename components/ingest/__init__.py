"""The ingest step: reads, checks and splits the rows of a shard, and writes its dataset folder."""
