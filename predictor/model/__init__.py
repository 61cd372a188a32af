"""The model folder, the kinds of model, and the handle to the served model."""
