"""HTTP API and page over a store."""
