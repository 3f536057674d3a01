"""Networks of groups, on this machine: for local nodes and for containers.

A run whose group has a network has one network namespace more, the segment. Local nodes and
containers have cables to it, which are pairs of virtual interfaces:

    node --eth0--------- p1 --+
         --eth1--------- p1v1 |        group0, a bridge that is also the router
    node --eth0--------- p2 --+        vlan7, one bridge a VLAN, without addresses
         --eth1--------- p2v1
                              uplink   the way out: pasta, slirp4netns, or this machine's routing

callboard changes it with the tools `ip`, `nft` and `tc`, which it runs inside. Nothing but open
files and processes of the run holds the namespace, so the kernel removes it with them.
"""
