"""What the links between the nodes of a group are like, and what befalls them while it runs.

`Links` knows the conditions at any moment, in real runs and in rehearsals alike; `LinkKeeper`, a
child of the group, has them applied and records each change.
"""

from callboard.actors.links.keeper import Cables, LinkKeeper
from callboard.actors.links.links import Change, Ends, Links

__all__ = ["Cables", "Change", "Ends", "LinkKeeper", "Links"]
