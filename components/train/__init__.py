"""The step that fits the model."""
