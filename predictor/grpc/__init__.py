"""gRPC: the Open Inference Protocol (V2), health checks and reflection, within the limits."""
