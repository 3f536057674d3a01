"""Groups in which something goes wrong with some seeds and not with others."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.system.harness import Test, definition


def group(
    roles: Mapping[str, Sequence[str]], counts: Mapping[str, int] | None = None, limit_s: int = 30
) -> str:
    """A definition in which each role runs these steps."""
    tests = {role: [Test(role, steps)] for role, steps in roles.items()}
    return definition(tests, counts=counts, limit_s=limit_s, action_s=240)


LATE = group(
    {
        "server": ["make-image --full", "lava-send ready"],
        "client": ["lava-wait ready", "fetch-image"],
        "observer": ["vmstat 1 10"],
    },
    {"client": 3, "observer": 2},
)
"""The clients wait for 30 s; the image takes longer with some seeds, by `LATE_MODEL`."""

LATE_MODEL = "steps: [{step: make-image *, takes: {exponential: 10}}]\n"

AGAIN = group(
    {
        "server": ["lava-sync booted", "serve"],
        "client": ["lava-sync booted", "if [ -f /again ]; then lava-sync booted; fi"],
        "observer": ["lava-sync booted", "vmstat 1 10"],
    },
    {"client": 3, "observer": 2},
)
"""A client that syncs again passes, as documented, but waits for all with LAVA's coordinator."""

AGAIN_MODEL = "conditions: [{condition: '[ -f /again ]', ways: [0.02, 0.98]}]\n"


def written(folder: Path, text: str, model: str | None = None) -> list[str]:
    """A group in a folder; returns what `callboard simulate` is given for it."""
    (folder / "group.yaml").write_text(text)
    if model is None:
        return ["simulate", "group.yaml"]
    (folder / "model.yaml").write_text(model)
    return ["simulate", "group.yaml", "--model", "model.yaml"]
