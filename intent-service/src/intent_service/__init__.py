"""Decides what a message wants and whether a person is needed."""
