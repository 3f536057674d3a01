"""What a coordinator grants to those who connect to it."""

from ipaddress import IPv4Network, IPv6Network, ip_network

from attrs import frozen

Network = IPv4Network | IPv6Network

LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@frozen
class Terms:
    """How many may connect from where, how long they may take, and how much they may send.

    Attributes:
        networks: Where clients may come from.
        unlimited: The networks among them of which one address may have any number of connections.
        connections: How many connections there may be at a time.
        from_one_address: How many of them one address may have; of IPv6 one network of 64 bits.
        message_limit: The most characters that a request may have.
        request_s: How long a request may take to come, from the connection on, in seconds.
        answer_s: How long an answer may take to be written down and to be taken, in seconds.
        pending_bytes: How much of half-read requests, of answers that are not taken yet, and of
            what the disk has not taken yet, is kept at a time; of each of the three.
        hold: How long an answer of "wait" may be held back, as a multiple of the time after which
            the client would ask again; 0 for not at all.
    """

    networks: tuple[Network, ...] = LOOPBACK
    unlimited: tuple[Network, ...] = ()
    connections: int = 16_384
    from_one_address: int = 1_024
    message_limit: int = 1 << 20
    request_s: float = 10.0
    answer_s: float = 30.0
    pending_bytes: int = 64 << 20
    hold: float = 0.0
