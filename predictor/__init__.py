"""What runs in the serving pod: the model folder, the KServe model and its HTTP paths."""
