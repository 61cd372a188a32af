"""What the commands of pipeline.py do around a run: on this machine and on a cluster."""
