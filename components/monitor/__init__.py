"""What the predictor saw: joined into new data, and watched for drift and loss of quality."""
