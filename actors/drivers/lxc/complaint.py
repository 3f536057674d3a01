"""Why LXC's tools failed, and who must act: they exit with 1 and say so in many words."""

import re
from collections.abc import Iterable

from attrs import frozen

from callboard.actors.errors import ActionError, InfrastructureError, JobError

_LOG_LINE = re.compile(r"lxc-\w+ \S+ \d+\.\d+ ERROR\s+\w+ - \S+:\d+ - (?P<what>.*)")
_SAID_LINE = re.compile(r"lxc-\w+: \S+: \S+ \w+: \d+ (?P<what>.*)")
_EMPTY_WORDS = (
    "To get more details",
    "Additional information can be obtained",
    "The container failed to start",
    "Received container state",
    "Failed to clone",
)
_MOST_CHARACTERS = 400


@frozen
class _Known:
    """A failure that is recognised.

    Attributes:
        pattern: What the tools then say.
        error: Who must act.
        text: What is said instead; None repeats the tool's own words.
    """

    pattern: str
    error: type[ActionError]
    text: str | None = None


_KNOWN = (
    _Known(r"No space left on device", InfrastructureError, "the disk is full"),
    _Known(r"Disk quota exceeded", InfrastructureError, "the disk quota is used up"),
    _Known(
        r"bad template|Template \S+ not found",
        InfrastructureError,
        "the template is not installed; install the packages lxc and lxc-templates",
    ),
    _Known(r"(?:/config exists|Container already exists)", InfrastructureError),
    _Known(
        r'bridge "(?P<bridge>[^"]+)", bridge interface doesn\'t exist',
        InfrastructureError,
        "there is no bridge {bridge}; `callboard doctor` says what starts it",
    ),
    _Known(
        r'No such file or directory - Failed to mount "(?P<source>[^"]+)"',
        InfrastructureError,
        "the devices file mounts {source}, and there is no such thing on this machine",
    ),
    _Known(
        r"Invalid release (?P<release>\S+)",
        JobError,
        "the mirror has no release {release}; correct `release` or `mirror`",
    ),
    _Known(
        r"Couldn't find a matching image",
        JobError,
        "there is no image of that distribution, release and arch",
    ),
    _Known(
        r"Failed to download (?P<what>\S+)",
        InfrastructureError,
        "the image server can't be reached ({what})",
    ),
    _Known(
        r"(?:Temporary failure in name resolution|Could not resolve|Unable to locate host"
        r"|Network is unreachable|unable to resolve host)",
        InfrastructureError,
    ),
    _Known(
        r"(?:Failed getting release file|Couldn't download packages) ?(?P<what>\S*)",
        InfrastructureError,
        "the mirror doesn't answer ({what})",
    ),
    _Known(r"Ongoing container creation detected", InfrastructureError),
    _Known(r"(?:Unsupported config key|Failed to parse config file)", InfrastructureError),
)


def complaint(what: str, said: Iterable[str], otherwise: type[ActionError]) -> ActionError:
    """The error for a tool that failed.

    Args:
        what: What can't be done, e.g. "lxc container 'web-1' can't be created".
        said: The lines that the tool printed or logged.
        otherwise: Who must act when nobody can tell.
    """
    lines = [line for each in said if (line := _words(each))]
    for known in _KNOWN:
        for line in lines:
            if found := re.search(known.pattern, line):
                text = line if known.text is None else known.text.format(**found.groupdict())
                return known.error(f"{what}: {text}")
    reason = next((line for line in lines if not line.startswith(_EMPTY_WORDS)), None)
    return otherwise(f"{what}: {reason}" if reason else f"{what}, and the tool doesn't say why")


def last_words(said: Iterable[str], number: int = 3) -> str:
    """The last lines that a command printed, as part of a sentence."""
    lines = [line for each in said if (line := _words(each))]
    return "; ".join(lines[-number:])


def _words(line: str) -> str:
    """What a line says, without the tool's name, time and place in its source."""
    line = "".join(character for character in line if character.isprintable()).strip()
    found = _LOG_LINE.fullmatch(line) or _SAID_LINE.fullmatch(line)
    return (found["what"] if found else line)[:_MOST_CHARACTERS]
