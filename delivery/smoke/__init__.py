"""The smoke test: every endpoint of a deployed predictor, at the address that its clients use."""
