"""What a person looks at: the page, the API reference and the OpenAPI document."""
