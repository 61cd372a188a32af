"""Records predictions and ground truth, for monitoring and the next training."""
