"""Where the user that runs callboard has things of their own, also one who has no home."""

import os
from pathlib import Path


def own_folder(variable: str, usual: str) -> Path:
    """A user's own folder `callboard`, which needn't exist.

    A user that nobody has entered anywhere, as systemd's dynamic users are, has the root folder
    for a home.

    Args:
        variable: The environment variable that names the folder it is in, such as
            `XDG_CONFIG_HOME`.
        usual: That folder below the user's home where there is no such variable.
    """
    return Path(os.environ.get(variable) or _home() / usual) / "callboard"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
