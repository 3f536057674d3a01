"""What a login may go to: never a word that ssh or a shell reads as anything else."""

import ipaddress
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callboard.definition.address import Address, is_host

_NO_OTHER = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")

_NAME = r"[a-z0-9]+(-[a-z0-9]+){0,3}(\.[a-z]+){0,3}"


@given(st.text() | st.text("ab1.:-_%@ /\n$'", max_size=12))
@example("-oProxyCommand=true")
@example("host\n")
@example("fe80::1%-o")
def test_no_host_holds_what_a_command_line_reads(text: str) -> None:
    if not is_host(text):
        with pytest.raises(ValueError, match="neither a host name nor an IP address"):
            Address(text)
    else:
        assert _NO_OTHER.fullmatch(text)


@given(st.ip_addresses() | st.from_regex(_NAME, fullmatch=True))
def test_every_ip_address_and_plain_name_is_a_host(
    host: ipaddress.IPv4Address | ipaddress.IPv6Address | str,
) -> None:
    assert Address(str(host)).host == str(host)


@given(st.text() | st.text("ab1.:-_%@ /\n$'", max_size=12))
@example("-root")
@example("root\n")
def test_no_user_holds_what_a_command_line_reads(text: str) -> None:
    try:
        Address("host", user=text)
    except ValueError:
        return
    assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", text)


@given(st.integers())
def test_a_port_is_one_of_tcp(port: int) -> None:
    if 0 < port < 2**16:
        assert Address("host", port).port == port
    else:
        with pytest.raises(ValueError, match="is no port"):
            Address("host", port)
