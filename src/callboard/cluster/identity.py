"""Keys, signed claims and credentials files, as NATS servers read them.

An nkey is an ed25519 key whose text says what it is for. Claims about a key are a JWT, signed by
the key above it: an operator's about accounts, an account's about its users. A credentials file
holds a user's claims and the seed of its key.
"""

import base64
import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from callboard.cluster.errors import BAD_ACCESS, ClusterError, no_client
from callboard.cluster.permissions import API, KINDS, Kind, api, inbox

try:
    import nkeys  # type: ignore[import-untyped] # it has no types
except ImportError as missing:
    raise no_client(missing) from None

Holder = Literal["operator", "account", "user"]

_ASK = "name the file that the owner of the cluster gave you"
_HEAD = b'{"typ":"JWT","alg":"ed25519-nkey"}'
_CLAIMS = re.compile(r"-----BEGIN NATS USER JWT-----\s+([\w.=-]+)\s+-+END NATS USER JWT-+")
_SEED = re.compile(r"-----BEGIN USER NKEY SEED-----\s+(\w+)\s+-+END USER NKEY SEED-+")
_CREDENTIALS = """\
-----BEGIN NATS USER JWT-----
{claims}
------END NATS USER JWT------

Whoever has this file is {name}. Keep it as a password.

-----BEGIN USER NKEY SEED-----
{seed}
------END USER NKEY SEED------
"""


@frozen
class Key:
    """An nkey.

    Attributes:
        seed: From which it is made; secret.
        public: By which others know it.
    """

    seed: str = field(repr=False)
    public: str

    def sign(self, data: bytes) -> bytes:
        """The signature of some bytes."""
        return bytes(nkeys.from_seed(bytearray(self.seed.encode())).sign(data))


def new_key(holder: Holder) -> Key:
    """A new key."""
    prefixes = {
        "operator": nkeys.PREFIX_BYTE_OPERATOR,
        "account": nkeys.PREFIX_BYTE_ACCOUNT,
        "user": nkeys.PREFIX_BYTE_USER,
    }
    return read_key(bytes(nkeys.encode_seed(os.urandom(32), prefixes[holder])).decode())


def read_key(seed: str) -> Key:
    """The key of a seed; raises ValueError when it is none."""
    try:
        pair = nkeys.from_seed(bytearray(seed.encode()))
        return Key(seed, bytes(pair.public_key).decode())
    except Exception as error:  # the library has no common ancestor for its errors
        raise ValueError("this is no seed of a key") from error


def claim(issuer: Key, about: str, name: str, claims: Mapping[str, object], at_s: int) -> str:
    """A JWT: claims about a key, signed by its issuer.

    Args:
        issuer: Who says so.
        about: The public key.
        name: For people.
        claims: What is said, in the words of NATS.
        at_s: When, in seconds of the calendar.
    """
    body: dict[str, object] = {
        "iat": at_s,
        "iss": issuer.public,
        "name": name,
        "sub": about,
        "nats": {**claims, "version": 2},
    }
    body["jti"] = hashlib.sha256(_json(body)).hexdigest()
    text = b".".join((_base64(_HEAD), _base64(_json(body))))
    return b".".join((text, _base64(issuer.sign(text)))).decode()


def credentials(claims: str, key: Key, name: str) -> str:
    """The text of a credentials file."""
    return _CREDENTIALS.format(claims=claims, seed=key.seed, name=name)


@frozen
class Identity:
    """Who a credentials file makes of its holder; without one, anybody.

    Attributes:
        name: Its name.
        public: Its public key.
        kind: What `callboard cluster accounts` has made it; None for others' credentials.
    """

    name: str = ""
    public: str = ""
    kind: Kind | None = None

    @property
    def inbox(self) -> str:
        """The prefix of the subjects at which it gets answers."""
        return "_INBOX" if self.kind is None else inbox(self.kind, self.name)

    @property
    def api(self) -> str:
        """The prefix of its requests to JetStream."""
        return API if self.kind is None else api(self.kind)


def read_identity(path: Path) -> Identity:
    """Who somebody with this credentials file is; raises ClusterError when it can't be read."""
    try:
        text = path.read_text()
        found, seed = _CLAIMS.search(text), _SEED.search(text)
        body: Any = json.loads(_unbase64(found[1].split(".")[1])) if found else None
        if seed is None or read_key(seed[1]).public != body["sub"]:
            raise ValueError("its key is none, or another's")
        tags = body["nats"].get("tags", ())
        kind = next((kind for kind in KINDS if kind in tags), None)
        return Identity(str(body["name"]), str(body["sub"]), kind)
    except OSError as error:
        problem = f"the credentials file {path} can't be read: {error.strerror}"
        raise ClusterError(BAD_ACCESS, problem, _ASK) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ClusterError(BAD_ACCESS, f"{path} is no credentials file", _ASK) from error


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
