"""The rules of groups whose clients poll, and of what they may have kept; see `tests.mutants`."""

FETCHED = [
    (
        "who waits is woken, and not granted",
        "return [Wake(tickets)]\n        return [Grant(tickets, messages.sent.snapshot() if",
        "pass\n        return [Grant(tickets, messages.sent.snapshot() if",
    ),
    (
        "a group that has become whole wakes those who wait",
        "return [effect for queue in list(self._queues) for effect in self._release(queue)]",
        "return []",
    ),
    (
        "all of a role means those too who are still to join",
        "return self._roster.is_whole and messages.senders[role] == self._roster.counts[role]",
        "return messages.senders[role] == self._roster.counts[role]",
    ),
    (
        "all means those too who are still to join",
        "return self._roster.is_whole or not self._semantics.whole_group",
        "return True",
    ),
    (
        "a role that may still come is waited for",
        "return self._semantics.whole_group and not self._roster.is_whole",
        "return False",
    ),
    (
        "LAVA: a role that nobody has is refused at once",
        "return self._semantics.whole_group and not self._roster.is_whole",
        "return not self._roster.is_whole",
    ),
    (
        "LAVA: who joins later has missed what was sent",
        "self._joined[member] = self._sends",
        "pass",
    ),
    (
        "a later send is news for who has joined before it",
        "messages.numbers[member] = self._sends",
        "messages.numbers.setdefault(member, self._sends)",
    ),
    (
        "the last to call a sync passes at once",
        "if self._semantics.fetched and self._semantics.passes_again:",
        "if False:",
    ),
    (
        "LAVA: the last to call a sync asks once more",
        "if self._semantics.fetched and self._semantics.passes_again:",
        "if self._semantics.fetched:",
    ),
    (
        "LAVA: a sync that all have passed can be called anew",
        "if meeting.went >= meeting.called:",
        "if False:",
    ),
    (
        "what is recalled knows who has passed a sync",
        "set(memory.went.get(id_, ()))",
        "set()",
    ),
    (
        "what is recalled knows the order of the sends",
        "group._messages[id_].numbers[each.member] = each.number",
        "pass",
    ),
    ("what is recalled knows who came late", "group._joined = dict(memory.joined)", "pass"),
    (
        "what is recalled knows how many have ended",
        "group._sends, group._ends = memory.sends, memory.ends",
        "group._sends = memory.sends",
    ),
    (
        "nothing is kept of an ID that is only waited for",
        "            del self._messages[queue.id]\n",
        "            pass\n",
    ),
    (
        "nothing is kept of a role that is only waited for",
        "del messages.waits_all[queue.role]",
        "pass",
    ),
    (
        "nothing is counted of a sync that all have passed",
        "self.kept.drops(sync_id)",
        "pass",
    ),
    (
        "a call of a sync is a change",
        "self.changes += 1\n            self.kept.calls(1)",
        "self.kept.calls(1)",
    ),
    (
        "to pass a sync that ends is a change",
        "            return\n        self.changes += 1\n        before = meeting.count",
        "            return\n        before = meeting.count",
    ),
    (
        "what is sent anew counts in place of what it replaces",
        "self.kept.size_bytes += messages.sent.size_bytes - before",
        "self.kept.size_bytes += messages.sent.size_bytes",
    ),
    (
        "nobody counts what is released to whom in a group that polls",
        "if message_id == START and not self._semantics.fetched:",
        "if message_id == START and self._semantics.fetched:",
    ),
]

GROUP = [
    ("a client that asks again is there again", "self._clients.come_back(client)", "pass"),
    ("that a client is there again survives", "self._own_changes += 1\n            self", "self"),
    (
        "a client too many is refused",
        "if self._semantics.whole_group and self.count >= self.size:",
        "if False:",
    ),
    (
        "who waits for the group is called once it is whole",
        "self._holds.wake(gathered)",
        "pass",
    ),
    ("who is held is called when it should ask again", "self._holds.wake(effect.tickets)", "pass"),
    ("who is held is called when the group ends", "self._holds.wake_all()", "pass"),
    (
        "who is released doesn't wait any more",
        "self._coordination.forget(ticket)\n\n    def resume",
        "pass\n\n    def resume",
    ),
    (
        "an answer that is shared is of the same data",
        "if data is not self._last[0]:",
        "if not self._last[0]:",
    ),
    (
        "who waits already may ask again, however full it has become",
        "if why is None or self._clients.waits_in(number, request) else why",
        "if why is None else why",
    ),
    (
        "who has ended before a restart ends once",
        "if number in self._doubted:",
        "if False:",
    ),
    (
        "what a sync brings is its answer",
        "answer = self._ask(ticket, effects, call, request.message or id_)",
        "answer = self._ask(ticket, effects, call, id_)",
    ),
    (
        "a bundle is a change",
        "self._own_changes += 1\n        self._bundles",
        "self._bundles",
    ),
    ("what is recalled knows who has left", "left=name in left", "left=False"),
    (
        "what is recalled knows the rounds of the collector",
        "group._bundles.pause = memory.pause",
        "pass",
    ),
    (
        "a group uses no more IDs than may be",
        "if is_new and self._coordination.kept.ids >= room.limits.ids:",
        "if False:",
    ),
    (
        "a known ID can be used on",
        "if is_new and self._coordination",
        "if self._coordination",
    ),
    ("an ID's data fits into an answer", "if under > most and", "if False and"),
    ("all bundles fit into an answer", "if together > most and", "if False and"),
    ("all clients fit into an answer", "if named > (most := limits.answer_bytes):", "if False:"),
]

CLIENTS = [
    ("a client that leaves twice has left once", "if not known.left:", "if True:"),
    (
        "who is in the group is told anew when somebody joins",
        "self._everybody = None\n        named",
        "named",
    ),
    ("who had left before counts as that", "self.left += known.left", "pass"),
    ("what a sync brings is not kept", "return evolve(request, message=None)", "return request"),
    ("what a client waits for is counted", "self.size_bytes += _waiting_bytes(waiting) -", "0 -"),
]

EXCHANGE = [
    ("what was served before is taken up", "self._room.boundless = True", "pass"),
    ("limits count again after that", "self._room.boundless = False", "pass"),
    (
        "what a group that has ended had kept is free",
        "kept_bytes = group.size_bytes if name in self._groups else 0",
        "kept_bytes = group.size_bytes",
    ),
    (
        "the end of a group is a change",
        "if group.changes == before and not group.over:",
        "if group.changes == before:",
    ),
    (
        "what is refused is not what is written down",
        "Complete(request.client) if refused else request",
        "request",
    ),
    ("only who was silent has vanished", "if group.seen_s < before_s", "if True"),
    ("names have a longest", "if len(name) > most:", "if False:"),
]

REQUESTS = [
    (
        "what can't be kept is refused for that",
        'raise RequestError(f"it has {strange}") from None',
        "return {}",
    ),
    ("a number without an end is refused", "if math.isfinite(number):", "if True:"),
    ("what is nested too deeply is refused", "and _depth(document) > _DEEPEST", "and False"),
    ("halves of characters are no names", "value.encode()", "pass"),
    ("a client has a name", "if not value:", "if False:"),
]

FRAMING = [
    (
        "what comes too much is refused",
        "if self._count > self._length or (",
        "if (",
    ),
    ("what begins a character too much is refused", " and self._in_a_character", " and False"),
    ("a message has a longest", "if length > self._limit:", "if False:"),
    ("a header is nothing but digits", "if not _DIGITS.issuperset(header):", "if False:"),
]
