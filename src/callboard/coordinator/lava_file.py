"""The configuration file of LAVA's coordinator, as it is.

LAVA: `/etc/lava-coordinator/lava-coordinator.conf`, the same file on the coordinator's machine
and on its workers. What it says of a coordinator is its port and its poll delay;
`coordinator_hostname` is where workers find it, not where it listens, and `blocksize` is about
clients that read a block at a time, which concerns nobody here.
"""

import json
import re
from pathlib import Path

from attrs import frozen

from callboard.coordinator.errors import CoordinatorError
from callboard.definition.model import Place

LAVA_FILE = Path("/etc/lava-coordinator/lava-coordinator.conf")
_BAD = "CB291"


@frozen
class LavaFile:
    """What the file says; None for what it doesn't.

    Attributes:
        port: Where the coordinator listens.
        poll_delay_s: How long clients wait before they ask again, in seconds.
    """

    port: int | None = None
    poll_delay_s: float | None = None


def read_lava_file(named: Path | None = None) -> LavaFile:
    """Read the file that is named; else the usual one, if it is there.

    Raises:
        CoordinatorError: It can't be read, is no JSON object, or has a value of a wrong kind.
    """
    path = named or LAVA_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if named is None:
            return LavaFile()
        text = f"{path} can't be read: {error.strerror}"
        hint = f"if none is named it is {LAVA_FILE}, where there is one"
        raise CoordinatorError(_BAD, text, hint) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise CoordinatorError(_BAD, f"{path} can't be read: {why}") from error
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _not_json(path, error) from error
    if not isinstance(content, dict):
        wanted = 'it looks like {"port": 3079, "poll_delay": 3}'
        raise CoordinatorError(_BAD, "the file is no JSON object", wanted, Place(str(path), 1, 1))
    port, delay = content.get("port"), content.get("poll_delay")
    if port is not None and not (type(port) is int and 0 < port <= 65_535):
        raise _wrong(path, text, "port", port, "a number from 1 to 65535")
    if delay is not None and not (type(delay) in (int, float) and 0 < delay < float("inf")):
        raise _wrong(path, text, "poll_delay", delay, "a number of seconds, more than 0")
    return LavaFile(port, None if delay is None else float(delay))


def _not_json(path: Path, error: Exception) -> CoordinatorError:
    if not isinstance(error, json.JSONDecodeError):
        return CoordinatorError(_BAD, f"{path} is no JSON: {error}")
    what = error.msg[:1].lower() + error.msg[1:]
    place = Place(str(path), error.lineno, error.colno)
    return CoordinatorError(_BAD, f"this is no JSON: {what}", place=place)


def _wrong(path: Path, text: str, key: str, value: object, wanted: str) -> CoordinatorError:
    found = re.search(rf'"{key}"\s*:', text)
    before = text[: found.start() if found else 0]
    place = Place(str(path), before.count("\n") + 1, len(before) - before.rfind("\n"))
    shown = json.dumps(value)
    return CoordinatorError(_BAD, f"'{key}' can't be {shown[:60]}", f"it is {wanted}", place)
