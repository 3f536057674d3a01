"""A group over many machines: workers offer devices, and NATS carries what the actors say.

    connection    one process's connection to the cluster's NATS servers
    line          what it makes of the NATS client, and how that ends
    subjects      what the subjects, streams and buckets are called
    records       what is kept in buckets: workers, groups, and which group has which device
    exchange      actors of other processes by refs, over subjects
    wire          messages between processes as bytes, and back
    log           the log of a group: a stream that one leader at a time may write
    history       what has been written: for those who follow it, and for the next leader
    entries       what the log has besides events; rebuilt says what a leader gets out of it
    recorder      the leader's journal: its own events and those of its hosts
    reporter      a host's journal: its events on their way to the leader
    fleet         which workers live, and what they offer
    table         which group gets which devices: all that it needs, or none
    shared_table  the table in its bucket, which any leader may change
    allocation    the wait of a group for its devices
    lease         a key that a process has for as long as it refreshes it
    leading       a group's own actors on a worker, under a lease; another takes it up
    hosting       jobs of a group on the worker that has their devices
    worker        the process that does both
    permissions   who may do what, by the servers' word; `accounts` and `identity` make it so
    guard         what a worker may say in a group, by the leader's
    client        submits groups, follows their logs, and cancels them
    roll          whom a group waits for that isn't heard of

Only what lies in here imports the NATS client, and nothing else of callboard imports this until
a cluster is asked for.
"""
