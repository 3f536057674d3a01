"""What happens to the links of a group's network, in words."""

from collections.abc import Sequence
from typing import assert_never

from callboard.definition.links import Conditions
from callboard.events import LinksChanged

_MOST = 5
"""Jobs that a sentence lists, at most."""


def links_text(body: LinksChanged) -> str:
    """What happens, in one sentence; nodes are named by their jobs, of many only the first."""
    first, *second = map(_some, body.ends)
    links = f"the links between {first} and {second[0]}" if second else f"all links of {first}"
    like = Conditions(body.delay_s, body.jitter_s, body.loss, body.rate_bps, body.cut)
    match body.change:
        case "set" | "impair" | "cut":
            return f"{links} {'are' if body.cut else 'have'} {like}"
        case "heal":
            return f"{links} are healed"
        case "over":
            return f"{links} are {'joined again' if body.cut else f'without {like} again'}"
        case _:
            assert_never(body.change)


def _some(jobs: Sequence[int]) -> str:
    if not jobs:
        return "nobody"
    more = f" and {len(jobs) - _MOST} more" if len(jobs) > _MOST else ""
    one = "job" if len(jobs) == 1 else "jobs"
    return f"{one} {', '.join(map(str, jobs[:_MOST]))}{more}"
