"""What a user types: one module a verb, and what the verbs share.

application    the command, its verbs, and the way from errors to exit codes
output         where text and JSON go
streams        the standard streams and the signals of the process
configuration  callboard.toml
"""
