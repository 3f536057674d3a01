"""Where a source is: which transports are allowed, and which files of this machine."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from callboard.definition.masking import secret_of
from callboard.definition.model import Definition
from callboard.sources.errors import REFUSED, SourceError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_TRANSPORTS = {
    "git": ("http", "https", "git", "ssh", "file"),
    "url": ("http", "https", "file"),
    "image": ("http", "https", "file", "scp"),
}
_LOGIN = re.compile(r"(?<=://)[^/?#\s]*@")  # to the last @, for a password can have one
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def shown(url: str) -> str:
    """A URL as it may be printed: without a login, which may hold a password."""
    return _LOGIN.sub("", url)


def login_of(url: str) -> str | None:
    """The login in a URL, e.g. `user:password`; None when it has none."""
    found = _LOGIN.search(url)
    return found[0].removesuffix("@") if found else None


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path leads to a place in a folder once its links are followed."""
    # Not Path.resolve: it fails on links that lead to each other.
    real, inside = os.path.realpath(path), os.path.realpath(folder)
    return Path(real).is_relative_to(inside)


def secret_values(definition: Definition) -> Iterator[str]:
    """What of a definition's sources must not be shown: headers, and logins in URLs."""
    for block in definition.blocks:
        for source in block.definitions:
            headers = source.options.get("headers")
            if isinstance(headers, dict):
                yield from (str(value) for value in headers.values())
            urls = [source.repository or ""]
            if source.definition is not None:
                urls += [each.url for each in source.definition.install.git_repos]
            yield from (login for login in map(secret_of, urls) if login is not None)
        for image in block.images:
            yield from image.headers.values()
            if (login := secret_of(image.url)) is not None:
                yield login


def local_path(url: str, origin: str, folder: Path, *, allow_local: bool) -> Path | None:
    """The path of a source on this machine, None when it is elsewhere.

    Args:
        url: As the definition has it.
        origin: `git`, `url`, or `image` for what deploy blocks download.
        folder: Where the definition lies; relative paths begin there.
        allow_local: Whether paths outside of it are allowed too.

    Raises:
        SourceError: The transport is not allowed, or the path isn't.
    """
    if _CONTROL.search(url):
        raise SourceError(REFUSED, f"{shown(url)} has control characters")
    scheme = _SCHEME.match(url)
    if scheme is None:
        if url.startswith("-") or "::" in url.split("/", 1)[0]:
            raise _refused(url, origin)
        if origin == "git" and ":" in url.split("/", 1)[0]:  # ssh, as in host:path
            return None
        return _checked(folder / url, url, folder, allow_local=allow_local)
    if scheme[1].lower() not in _TRANSPORTS[origin]:
        raise _refused(url, origin)
    if scheme[1].lower() != "file":
        return None
    host, _, path = url[len("file://") :].partition("/")
    path = unquote(f"/{path}")
    if host not in ("", "localhost"):
        raise SourceError(REFUSED, f"{shown(url)} names a file of another machine")
    if _CONTROL.search(path):
        raise SourceError(REFUSED, f"{shown(url)} has control characters")
    return _checked(Path(path), url, folder, allow_local=allow_local)


def _refused(url: str, origin: str) -> SourceError:
    names = ", ".join(_TRANSPORTS[origin])
    return SourceError(
        REFUSED, f"{shown(url)} has a transport that is not allowed", f"use one of {names}"
    )


def _checked(path: Path, url: str, folder: Path, *, allow_local: bool) -> Path:
    if allow_local or is_inside(path, folder):
        return Path(os.path.realpath(path))
    hint = "move it there, or allow this machine's files with --allow-local"
    message = f"{shown(url)} does not lie below the definition's folder"
    raise SourceError(REFUSED, message, hint)
