"""The model registry: versions, aliases and their folders. The only package that knows MLflow."""
