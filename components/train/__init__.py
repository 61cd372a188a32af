"""The train step: the estimator, the search, and the model folder."""
