"""What a step's pod is given: image, resources, credentials, retries."""
