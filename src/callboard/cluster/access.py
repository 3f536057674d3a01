"""How a cluster is reached: the address, and what proves who we are."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from callboard.cluster.errors import BAD_ACCESS, ClusterError


@frozen
class Access:
    """Where a cluster's NATS servers are, and how to be let in.

    Attributes:
        url: `nats://host:port`, or `tls://`; several of one cluster are separated by commas.
        creds: A credentials file.
        ca: The certificates that the server's is checked against, PEM; else the system's.
        cert: Our own certificate, PEM.
        key: Its key.
    """

    url: str = field(repr=False)
    creds: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    @property
    def shown(self) -> str:
        """The address without user names, passwords and tokens."""
        return ",".join(_shown(each) for each in self.urls)

    @property
    def urls(self) -> list[str]:
        """Each server's address."""
        return [each.strip() for each in self.url.split(",") if each.strip()]

    @property
    def encrypted(self) -> bool:
        """Whether nothing may be said without TLS."""
        asked = any(each.startswith("tls://") for each in self.urls)
        return asked or self.ca is not None or self.cert is not None

    def check(self) -> None:
        """Raise ClusterError when this can't be right, before anything is tried."""
        if not self.urls:
            raise ClusterError(BAD_ACCESS, "no address of a NATS server", _FORM)
        for each in self.urls:
            _check_url(each)
        for path, what in ((self.creds, "credentials file"), (self.ca, "certificates")):
            _check_file(path, what)
        for path, what in ((self.cert, "our certificate"), (self.key, "our key")):
            _check_file(path, what)
        if self.key is not None and self.cert is None:
            raise ClusterError(BAD_ACCESS, "a key without its certificate", "add --tls-cert FILE")

    def tls(self) -> ssl.SSLContext | None:
        """How TLS is done; raises ClusterError for certificates that can't be used."""
        if not self.encrypted:
            return None
        with _pem(self.ca):
            context = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            with _pem(self.cert, self.key):
                context.load_cert_chain(self.cert, self.key, password=_no_password)
        return context


_FORM = "it is written as nats://host:4222"


def _shown(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url if "://" in url else f"nats://{url}")
        fits = parts.scheme in ("nats", "tls") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ClusterError(BAD_ACCESS, f"{_shown(url)!r} is no address of a NATS server", _FORM)


def _check_file(path: Path | None, what: str) -> None:
    if path is None:
        return
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        text = f"{path} ({what}) can't be read: {error.strerror}"
        raise ClusterError(BAD_ACCESS, text) from error


@contextmanager
def _pem(*files: Path | None) -> Iterator[None]:
    """The time in which files are read that hold certificates and keys."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        names = " with ".join(str(each) for each in files if each is not None)
        text = f"{names or 'the certificates of the system'} can't be used: {reason or error}"
        raise ClusterError(BAD_ACCESS, text, "certificates and keys are PEM files") from error


def _no_password() -> str:
    """Called for a key with a password, which would else be asked for on the terminal."""
    raise ValueError("the key has a password; write it without one")
