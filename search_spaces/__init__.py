"""What a network may be: architectures and the spaces they are drawn from, as plain data."""
