"""What runs in the serving pod: the transports, the protocols, the inference service and the model."""
