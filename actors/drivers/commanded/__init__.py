"""The driver `command`: a device whose console is what a command gives."""
