"""Ready-to-run groups: LAVA MultiNode definitions, and what is expected of their rehearsals.

The group `demo.yaml` is rehearsed by `demo.scenario.yaml`; a group may have several scenarios.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable


def scenario(name: str) -> Traversable:
    """The definition called `name`, e.g. `demo`.

    Raises:
        FileNotFoundError: There is no scenario of that name.
    """
    found = files("callboard.scenarios") / f"{name}.yaml"
    if not found.is_file():
        raise FileNotFoundError(f"there is no scenario called '{name}'")
    return found
