"""Certificates for tests, made by `openssl` as an owner of a lab would make them."""

import subprocess
from pathlib import Path

from attrs import frozen


@frozen
class Certificate:
    """A certificate and its key, as files."""

    cert: Path
    key: Path


@frozen
class Authority:
    """Who signs certificates."""

    own: Certificate

    def issue(self, name: str, names: str, days: int = 2) -> Certificate:
        """A certificate for the holder of some names.

        Args:
            name: Of the files.
            names: For whom, such as `IP:127.0.0.1,DNS:localhost`.
            days: For how long, from now; it has expired if this is less than nothing.
        """
        made = _files(self.own.cert.parent, name)
        request = made.cert.with_suffix(".csr")
        extensions = made.cert.with_suffix(".ext")
        extensions.write_text(f"subjectAltName={names}\n")
        _openssl("req", "-new", *_KEY, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request)
        signed = ("-CA", self.own.cert, "-CAkey", self.own.key, "-CAcreateserial")
        form = ("-days", str(days), "-extfile", extensions)
        _openssl("x509", "-req", "-in", request, *signed, *form, "-out", made.cert)
        return made


def authority(folder: Path, name: str) -> Authority:
    """Somebody new who signs."""
    own = _files(folder, name)
    subject = ("-subj", f"/CN={name}", "-days", "2")
    _openssl("req", "-x509", "-new", *_KEY, *subject, "-keyout", own.key, "-out", own.cert)
    return Authority(own)


_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _files(folder: Path, name: str) -> Certificate:
    return Certificate(folder / f"{name}.pem", folder / f"{name}.key")


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
