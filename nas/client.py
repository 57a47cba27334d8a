"""The Python side of the HTTP API."""
