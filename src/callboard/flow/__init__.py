"""The flow of a group: what its roles call in which order, and whether all of them return."""
