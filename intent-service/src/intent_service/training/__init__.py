"""Builds the model files of intent-service from its phrases."""
