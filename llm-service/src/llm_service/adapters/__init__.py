"""What touches files and the model API."""
