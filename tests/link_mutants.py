"""The rules of a link's ends, as they stand in `runtime/sender.py`, `remote.py` and `receiver.py`.

Each entry is a rule, the text that keeps it, and what breaks it; see `tests.mutants`.
"""

SENDER = [
    (
        "a message that isn't heard of is sent again",
        "self._new[sent.number] = None\n        self._unheard.expect(sent.number)",
        "self._new[sent.number] = None",
    ),
    ("a message that was heard of isn't sent again", "self._unheard.heard(number)", "pass"),
    (
        "an outcome that nobody waits for is confirmed as well",
        "self.settle(number, outcome)\n                self._send(Confirmed(number))",
        (
            "if number in self._sent:\n"
            "                    self._send(Confirmed(number))\n"
            "                self.settle(number, outcome)"
        ),
    ),
    (
        "a message that is on its way is waited for",
        "floor = next(iter(self._new), self._last + 1)",
        "floor = self._last",
    ),
    (
        "what will never come is not waited for",
        "floor = next(iter(self._new), self._last + 1)",
        "floor = 1",
    ),
    ("who has given up sends nothing", "if sent.wanted:", "if True:"),
    (
        "what an actor didn't handle that has stopped is a dead letter",
        "if isinstance(outcome.error, ActorStopped):",
        "if False:",
    ),
    ("who waits for room is woken", "self._room.set()", "pass"),
]

REMOTE = [
    ("an ask that has ended is forgotten", "self._sender.forget(sent)", "pass"),
]

RECEIVER = [
    (
        "an outcome that isn't confirmed is sent again",
        "self._unheard.expect(number)\n            self._transmit(number)",
        "self._transmit(number)",
    ),
    (
        "an outcome that was confirmed isn't sent again",
        "self._unheard.heard(number)\n                self._handed.pop(number, None)",
        "pass",
    ),
    (
        "a message that comes again isn't handed over again",
        "if number >= self._next:",
        "if True:",
    ),
    (
        "messages are handed over in order",
        "self._next in self._early or self._next < floor",
        "self._early or self._next < floor",
    ),
    ("a hole in the order is passed", " or self._next < floor", ""),
    ("a message that finds no room comes again", "self._next = number  #", "pass  #"),
    (
        "what the actor leaves is handed over again",
        "if self._survives and handed.left:",
        "if False:",
    ),
    (
        "what an actor leaves that doesn't come back isn't handed over again",
        "if self._survives and handed.left:",
        "if handed.left:",
    ),
    (
        "what the actor leaves is handed over before what is new",
        "while not self._again and (",
        "while (",
    ),
    (
        "what the actor leaves is handed over in order",
        "for number in sorted(again):",
        "for number in sorted(again, reverse=True):",
    ),
    (
        "what has to be handed over again isn't settled",
        "if handed.outcome is None or number in self._again:",
        "if handed.outcome is None:",
    ),
    (
        "a second answer is dropped",
        "if self.outcome is None:\n            self.outcome = outcome",
        "if True:\n            self.outcome = outcome",
    ),
]
