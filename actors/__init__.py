"""The domain: the actors that run a group of LAVA jobs."""
