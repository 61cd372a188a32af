"""From a source of rows to a dataset folder."""
