"""Reads a device of the driver `ssh`: a machine that is there, and that one logs in to."""

import base64
import os
from pathlib import Path

from attrs import frozen

from callboard.definition.address import HOST_HINT, MOST_PORT, USER, Address, is_host
from callboard.definition.reader import Section

SSH_PORT = 22
"""Where a host takes its guests' logins if the devices file doesn't say."""

_KEY_HINT = "it is the second and third word of a line that `ssh-keyscan` prints for the machine"


@frozen
class SshDevice:
    """How a device of the driver `ssh` is reached.

    Attributes:
        address: Where it is, and who logs in.
        identity_file: The private key; None leaves it to the user's configuration and agent.
        host_keys: The machine's public keys, as `<type> <key>`; none takes the first one seen.
    """

    address: Address
    identity_file: Path | None = None
    host_keys: tuple[str, ...] = ()


def read_ssh_port(section: Section) -> int:
    """At which port of a device the guests of its role log in."""
    return section.integer("ssh_port", minimum=1, maximum=MOST_PORT) or SSH_PORT


def read_ssh_device(section: Section) -> SshDevice | None:
    """The keys of the driver; None when something is wrong with its address."""
    host = section.string("address", required=True)
    port = section.integer("port", minimum=1, maximum=MOST_PORT) or SSH_PORT
    user = section.string("user") or "root"
    identity_file = _identity_file(section)
    host_keys = _host_keys(section)
    if host is not None and not is_host(host):
        message = f"`address` of {section.title} can't be `{host[:60]}`"
        section.error("CB192", section.get("address") or section.node, message, HOST_HINT)
        return None
    if not USER.fullmatch(user):
        message = f"`user` of {section.title} can't be `{user[:60]}`"
        hint = "names of users have letters, digits, `_`, `-` and `.`"
        section.error("CB192", section.get("user") or section.node, message, hint)
        return None
    return None if host is None else SshDevice(Address(host, port, user), identity_file, host_keys)


def _identity_file(section: Section) -> Path | None:
    """The file of the private key, relative to the devices file's folder."""
    written = section.string("identity_file")
    if written is None:
        return None
    home = os.path.expanduser(written)  # noqa: PTH111 - leaves the `~` of nobody as it is
    path = Path(section.findings.source.file).parent / home
    if not path.is_file():
        message = f"`identity_file` of {section.title} is no file: {path}"
        hint = "name a private key; relative paths begin at the devices file"
        section.error("CB193", section.get("identity_file") or section.node, message, hint)
        return None
    if path.suffix == ".pub":
        message = f"`identity_file` of {section.title} is a public key: {path}"
        hint = f"name the private one, probably `{written.removesuffix('.pub')}`"
        section.error("CB193", section.get("identity_file") or section.node, message, hint)
        return None
    return path.absolute()


def _host_keys(section: Section) -> tuple[str, ...]:
    keys = section.strings("host_key", one=True)
    for key in keys:
        if not _is_public_key(key):
            message = f"`host_key` of {section.title} is no public key: `{key[:60]}`"
            node = section.get("host_key") or section.node
            section.error("CB193", node, message, _KEY_HINT)
    return tuple(" ".join(key.split()[:2]) for key in keys)


def _is_public_key(text: str) -> bool:
    """Whether a text is `<type> <key>`, whose key says of itself that it is of that type."""
    kind, *rest = text.split()[:2] or [""]
    if len(rest) != 1:
        return False
    try:
        blob = base64.b64decode(rest[0], validate=True)
    except ValueError:  # binascii.Error is one
        return False
    name = kind.encode()
    return blob.startswith(len(name).to_bytes(4, "big") + name)
