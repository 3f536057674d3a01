"""What the router of a group's network does with what comes from outside."""

import subprocess
import sys

from callboard.actors.drivers.network.wayout import RULES

_SENDER = """
import socket, struct, subprocess, sys

def run(*words, given=""):
    subprocess.run(words, check=True, input=given, text=True)

for line in (
    "link add uplink type veth peer name far",
    "link set uplink address 02:00:00:00:00:01 up",
    "link set far address 02:00:00:00:00:02 up",
    "address add 10.0.0.1/24 dev uplink",
    "neigh add 10.0.0.2 lladdr 02:00:00:00:00:02 dev uplink",
):
    run("ip", *line.split())
run("nft", "-f", "-", given=sys.stdin.read())

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF

def segment(port, flags):
    ends = socket.inet_aton("10.0.0.2") + socket.inet_aton("10.0.0.1")
    tcp = struct.pack("!HHIIBBHHH", port, 9, 1, 0, 5 << 4, flags, 1024, 0, 0)
    found = checksum(ends + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)
    tcp = tcp[:16] + struct.pack("!H", found) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0) + ends
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return bytes.fromhex("020000000001" "020000000002" "0800") + head + tcp

far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
far.bind(("far", 0x0800))
far.settimeout(10)
far.send(segment(1000, 0))  # without any flag
far.send(segment(2000, 2))  # the first of a connection: nobody listens, so it is refused
while True:
    answer = far.recv(2048)
    if answer[:6] == bytes.fromhex("020000000002"):
        print(int.from_bytes(answer[36:38], "big"))
        if answer[36:38] == (2000).to_bytes(2, "big"):
            break
"""


def answered(rules: str) -> list[int]:
    """Which of the ports that segments came from the router answers."""
    words = ["unshare", "-Urn", sys.executable, "-c", _SENDER]
    ran = subprocess.run(words, input=rules, capture_output=True, text=True, check=True, timeout=30)
    return [int(line) for line in ran.stdout.split()]


def test_the_router_does_not_answer_segments_that_belong_to_no_connection() -> None:
    """It would end a connection of the node that they are for; a new one it does refuse."""
    assert answered(RULES) == [2000]
    assert answered(RULES.replace("invalid", "untracked")) == [1000, 2000]
