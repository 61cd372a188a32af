"""One module for each protocol: reads a request into rows, and writes values as a response."""
