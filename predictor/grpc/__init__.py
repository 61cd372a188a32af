"""gRPC: the Open Inference Protocol V2 on its own servicer."""
