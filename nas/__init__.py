"""Find efficient image networks and grow them into families."""

__version__ = "0.1.0"
