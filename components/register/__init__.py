"""Register: the gate, and the versions and aliases it decides about."""
