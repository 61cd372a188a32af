"""What KServe expects beyond the inference protocols: its flags and CloudEvents."""
