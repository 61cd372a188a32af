"""Image, resources, credentials and retries of a step's pod."""
