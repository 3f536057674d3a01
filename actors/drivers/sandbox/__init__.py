"""Throw-away views of this machine, each a node: own processes, files, devices and limits.

One holder process a run owns what the nodes of the run share. Each node is a first process in
namespaces of its own, a child of the holder, that talks to callboard over a socket:

    callboard ---- holder           makes nodes, ends them all when callboard is gone
        |             |
        +--socket-- node's init     puts files on the node, opens shells
                      |
                      +-- shells    all that the node runs

Everything a node writes lies in a file system in memory that only its namespace knows, so the
kernel itself removes it with the node's last process, whatever has ended that.
"""
