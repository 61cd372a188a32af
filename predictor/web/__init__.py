"""The page on which to try the model, the API reference and the OpenAPI document."""
