"""The commands of pipeline.py, on this machine and on a cluster."""
