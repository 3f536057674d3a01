"""The Debian mirrors that this machine itself uses, from apt's configuration."""

import re
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from callboard.definition.containers import MIRROR

APT = Path("/etc/apt")
_ONE_LINE = re.compile(r"deb(?:\s+\[[^\]]*\])?\s+(?P<uri>\S+)\s+(?P<suite>\S+)")


@frozen
class _Source:
    uri: str
    suite: str


def machine_mirrors(apt: Path = APT) -> tuple[str | None, str | None]:
    """The mirror of the archive and that of security updates; None where there is none.

    Only sources of Debian itself count: such as have a suite for security updates, or `main`
    archives called `debian`; those of others, and what isn't fetched over HTTP, do not.
    """
    sources = [each for each in _sources(apt) if MIRROR.fullmatch(each.uri)]
    security = [each for each in sources if _is_security(each)]
    archives = [
        each
        for each in sources
        if each not in security
        and each.uri.rstrip("/").endswith("/debian")
        and "/" not in each.suite
    ]
    return _first(archives), _first(security)


def _first(sources: list[_Source]) -> str | None:
    return next((each.uri.rstrip("/") for each in sources), None)


def _is_security(source: _Source) -> bool:
    return "debian" in source.uri and source.suite.endswith(("-security", "/updates"))


def _sources(apt: Path) -> Iterator[_Source]:
    """Every source of binary packages, in apt's order of files."""
    parts = apt / "sources.list.d"
    for path in [apt / "sources.list", *sorted(parts.glob("*"))]:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        match path.suffix:
            case ".list":
                yield from _one_line(text)
            case ".sources":
                yield from _deb822(text)
            case _:
                continue


def _one_line(text: str) -> Iterator[_Source]:
    for line in text.splitlines():
        if found := _ONE_LINE.match(line.strip()):
            yield _Source(found["uri"], found["suite"])


def _deb822(text: str) -> Iterator[_Source]:
    for paragraph in re.split(r"\n\s*\n", text):
        lines = [line for line in paragraph.splitlines() if not line.startswith("#")]
        joined = re.sub(r"\n[ \t]+", " ", "\n".join(lines))
        pairs = (line.split(":", 1) for line in joined.splitlines() if ":" in line)
        fields = {name.strip().lower(): value.split() for name, value in pairs}
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"])[:1] == ["no"]:
            continue
        for uri in fields.get("uris", []):
            for suite in fields.get("suites", []):
                yield _Source(uri, suite)
