"""Serves LAVA's MultiNode coordinator protocol, and speaks it as a client."""
