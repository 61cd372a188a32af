"""The model folder, the mathematics of the model, and the handle to the model that is served."""
