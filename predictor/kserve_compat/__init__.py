"""What KServe's own clients and runtimes expect beyond the inference protocols."""
