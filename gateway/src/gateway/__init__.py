"""The HTTP edge of Kommo Mesh and the worker that takes turns."""
