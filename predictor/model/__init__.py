"""The model folder, the linear model in it, and the handle to the served model."""
