"""LXC containers: made from cached bases, entered, kept or destroyed through the `lxc-*` tools."""
