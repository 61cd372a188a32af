"""The steps of the pipeline: ingest, train, evaluate, register."""
