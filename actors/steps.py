"""Where in a test definition a helper's call is written: the step that most likely made it."""

import re
from collections.abc import Sequence

from attrs import define

from callboard.definition.model import Step
from callboard.events import CallName, Where


@define
class Steps:
    """The steps of one definition while it runs; calls are looked for from the last one on.

    Attributes:
        steps: In order.
        reached: Number of the step that made the last call that was found.
    """

    steps: Sequence[Step]
    reached: int = 0

    def find(self, call: CallName, name: str) -> Where | None:
        """The next step that calls `lava-<call> <name>`; None if no step can have done so."""
        literal = re.compile(rf"lava-{call}\s+(['\"]?){re.escape(name)}\1(?![\w.:/+@%-])")
        computed = re.compile(rf"lava-{call}\s+\S*[$`]")
        order = [*range(self.reached, len(self.steps)), *range(self.reached)]
        for pattern in (literal, computed):
            for number in order:
                if pattern.search(self.steps[number].text):
                    self.reached = number
                    return self._where(number)
        return None

    def _where(self, number: int) -> Where:
        step = self.steps[number]
        return Where(step.place.file, step.place.line, step.place.column, step.text)
