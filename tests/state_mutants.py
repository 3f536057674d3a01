"""The rules of a group's coordination, as they stand in `actors/coordination.py` and `sent.py`.

Each entry is a rule, the text that keeps it, and what breaks it; see `tests.mutants`.
"""

MESSAGES = [
    (
        "a second send is merged into the first",
        "merge=self._semantics.merges)",
        "merge=False)",
    ),
    (
        "all that are released together share the data",
        "return [Grant(tickets, messages.sent.snapshot() if messages else NO_DATA, slots)]",
        (
            "return [\n"
            "            Grant((t,), dict(messages.sent.snapshot()) if messages else {}, (slot,))\n"
            "            for t, slot in zip(tickets, slots)\n"
            "        ]"
        ),
    ),
    (
        "waiters are released in their order",
        "tuple(queue.tickets), {}",
        "tuple(reversed(queue.tickets)), {}",
    ),
    (
        "a send releases waits",
        "effects = self._release(messages.waits, messages)",
        "effects: list[Effect] = []",
    ),
    (
        "wait counts an own send",
        "if messages.sent:\n            return [Grant",
        "if messages.sent.keys() - {ticket[0]}:\n            return [Grant",
    ),
    (
        "wait needs one sender, not all",
        "if messages.sent:\n            return [Grant",
        "if len(messages.sent) == len(self._roles):\n            return [Grant",
    ),
    (
        "wait-all needs its caller's send",
        "if self._have_sent(messages, role, self._roles[ticket[0]]):",
        (
            "if self._have_sent(messages, role, self._roles[ticket[0]]) or (\n"
            "            role is None and len({*messages.sent, ticket[0]}) == len(self._roles)\n"
            "        ):"
        ),
    ),
    (
        "wait-all is released by the last send, not by the last but one",
        "if len(messages.sent) == len(self._roles):",
        "if len(messages.sent) >= len(self._roles) - 1:",
    ),
    (
        "wait-all that asks last needs every member",
        "return len(messages.sent) == len(self._roles)",
        "return len(messages.sent) >= len(self._roles) - 1",
    ),
    (
        "wait-all with a role isn't released by any one of its nodes",
        "if messages.senders[role] == self._counts[role]:",
        "if messages.senders[role]:",
    ),
    (
        "wait-all with a role that asks last needs all its nodes",
        "return messages.senders[role] == self._counts[role]",
        "return messages.senders[role] > 0",
    ),
    (
        "wait-all with a role needs no other nodes",
        "return messages.senders[role] == self._counts[role]",
        "return len(messages.sent) == len(self._roles)",
    ),
    (
        "wait-all with a role is released by the role's last send",
        "effects += self._release(messages.waits_all.get(role), messages)",
        "pass",
    ),
    (
        "wait-all counts members, not sends",
        "if member not in messages.sent:\n            messages.senders",
        "if True:\n            messages.senders",
    ),
    (
        "wait-all with a role that no node has is refused",
        (
            "if role is not None and role not in self._counts:\n"
            "            return self._refuse_role(ticket, role, slot)"
        ),
        (
            "if role is not None and role not in self._counts:\n"
            '            return self._enqueue(ticket, _Queue("wait-all", message_id, role), slot)'
        ),
    ),
]

SENT = [
    ("the later of two values wins", "{**before, **data}", "{**data, **before}"),
    ("data is as new as the last send", "self._snapshot = None", "pass"),
    ("data that was handed out gets no senders", "if place >= self._count:", "if False:"),
    (
        "data that was handed out names no later senders",
        "return islice(self._places, self._count)",
        "return iter(self._places)",
    ),
    (
        "data that was handed out counts no later senders",
        "return self._count\n",
        "return len(self._places)\n",
    ),
    (
        "data that was handed out gets no values",
        "self._values = self._values.copy()",
        "pass",
    ),
    (
        "values that are handed out are known to be shared",
        "self._shared = True",
        "pass",
    ),
    (
        "who sends data first is known to have done so",
        "if data:\n                self._spoken = None",
        "if False:\n                self._spoken = None",
    ),
    (
        "who sends other data is known to have done so",
        "self._values[place] = MappingProxyType(merged)\n            self._spoken = None",
        "self._values[place] = MappingProxyType(merged)",
    ),
    (
        "who sends no data changes nothing in what is known of those that do",
        "if data:\n                self._spoken = None",
        "if True:\n                self._spoken = None",
    ),
]

SYNCS_AND_STARTS = [
    (
        "sync needs every member",
        "if len(sync.called) < len(self._roles):",
        "if len(sync.called) < len(self._roles) - 1:",
    ),
    (
        "sync counts members, not calls",
        "if len(sync.called) < len(self._roles):",
        "if len(sync.waits.tickets) + 1 < len(self._roles):",
    ),
    (
        "a sync that all have passed is granted at once",
        "if not self._semantics.passes_again:",
        "if True:",
    ),
    (
        "a withdrawn sync still counts as called",
        "self._dequeue(ticket, queue)\n        return missing",
        (
            "self._dequeue(ticket, queue)\n"
            '        if queue.kind == "sync":\n'
            "            self._syncs[queue.id].called.discard(ticket[0])\n"
            "        return missing"
        ),
    ),
    (
        "a send isn't a sync",
        "messages = self._messages[message_id]\n        role = ",
        (
            "messages = self._messages[message_id]\n"
            '        sync = _Sync(_Queue("sync", message_id))\n'
            "        self._syncs.setdefault(message_id, sync).called.add(member)\n"
            "        role = "
        ),
    ),
    (
        "a send doesn't open a sync",
        "effects = self._release(messages.waits, messages)",
        (
            "effects = self._release(messages.waits, messages)\n"
            "        if message_id in self._syncs:\n"
            "            effects += self._release(self._syncs[message_id].waits)"
        ),
    ),
    (
        "a sync isn't a send",
        "sync.called.add(ticket[0])",
        "sync.called.add(ticket[0])\n        self._messages[sync_id].sent[ticket[0]] = {}",
    ),
    (
        "a start needs every node of the role",
        "if starts.releasers[own] == self._counts[own]:",
        "if starts.releasers[own]:",
    ),
    (
        "a start that is asked last needs every node of the role",
        "if starts.releasers[role] == self._counts[role]:",
        "if starts.releasers[role]:",
    ),
    (
        "a start counts members, not releases",
        "if member not in starts.released:",
        "if True:",
    ),
    (
        "a release for one role releases no other",
        "for role in self._counts if roles is None else roles:",
        "for role in self._counts:",
    ),
    ("a send of lava_start releases", "if message_id == START:", "if message_id == 'lava-start':"),
    (
        "a start that is expected of a role that no node has is refused",
        "if role not in self._counts:\n            return self._refuse_role(ticket, role, slot)",
        (
            "if role not in self._counts:\n"
            '            return self._enqueue(ticket, _Queue("start", START, role, role), slot)'
        ),
    ),
]

ENDS = [
    (
        "an end makes a wait hopeless that needs it",
        "return queue.excused < len(ended)",
        "return False",
    ),
    (
        "an end makes no wait hopeless for certain",
        'if queue.kind == "wait":\n            return False',
        "if False:\n            return False",
    ),
    (
        "who had acted may end",
        "ended[queue.excused] in queue.acted:",
        "False:",
    ),
    (
        "who had sent may end",
        '_Queue("wait-all", message_id, messages.sent, role)',
        '_Queue("wait-all", message_id, (), role)',
    ),
    (
        "who had called a sync may end",
        '_Queue("sync", sync_id, called)',
        '_Queue("sync", sync_id, ())',
    ),
    (
        "who had released the asker's role may end",
        '_Queue("start", START, starts.released, role)',
        '_Queue("start", START, (), role)',
    ),
    (
        "only an end within the role counts",
        "ended = self._ended_in[queue.role]",
        "ended = self._ended_in[None]",
    ),
    (
        "a hopeless wait is found once",
        "[ticket for ticket in tickets if ticket not in self._reported]",
        "list(tickets)",
    ),
    (
        "what is asked in vain is found at once",
        "return self._certain(queue, [ticket]) if self._ended else []",
        "return []",
    ),
    (
        "an ended member waits no more",
        "slot=self._dequeue(ticket, queue))",
        "slot=queue.tickets[ticket])",
    ),
    (
        "an ended member's requests are refused",
        "            for ticket, queue in own\n        ]",
        "            for ticket, queue in own\n        ][:0]",
    ),
    ("a member ends once", " or member in self._ended:", ":"),
    (
        "who has ended doesn't count where all wait",
        "0 < len(self._waiting) == self._alive",
        "0 < len(self._waiting) == len(self._roles)",
    ),
    (
        "a group without living members isn't stuck",
        "0 < len(self._waiting) == self._alive",
        "len(self._waiting) == self._alive",
    ),
    (
        "all of a group in which all wait is presumed hopeless",
        "self._queues if len(self._waiting) == self._alive else self._abandoned",
        "self._abandoned",
    ),
    (
        "who waits for ended senders is suspicious though others work",
        "if self._abandoned:\n            return True",
        "if False:\n            return True",
    ),
    (
        "a sender's end abandons those that wait",
        "self._abandoned.update((each, None) for each in self._queues if self._is_abandoned(each))",
        "pass",
    ),
    (
        "a wait for senders that have ended is abandoned from the start",
        "if self._is_abandoned(queue):",
        "if False:",
    ),
    (
        "a wait isn't abandoned while one of its senders lives",
        "self._living[role] -= 1",
        "self._living[role] = 0",
    ),
    (
        "a wait that is granted isn't abandoned any more",
        "self._abandoned.pop(queue, None)",
        "pass",
    ),
    (
        "only those that may send are missed",
        "if self._roles[member] in roles]",
        "if True]",
    ),
    (
        "who has acted is not missed",
        "if member not in queue.acted)",
        "if True)",
    ),
    (
        "who waits for more than a start isn't delayed",
        'delayed = all(queue.kind == "start"',
        'delayed = any(queue.kind == "start"',
    ),
    ("blame is inherited", "self._blame.get(member, ()) if kept_from_it", "() if kept_from_it"),
    (
        "who would never have acted inherits no blame",
        "self._blame.get(member, ()) if kept_from_it else ()",
        "self._blame.get(member, ())",
    ),
    (
        "a sync is looked for among the syncs",
        "return role in self._senders.callers(queue.id)",
        "return role in self._senders.possible(queue.id)",
    ),
    (
        "who gives up remembers whom to blame",
        "self._blame.setdefault(ticket[0], to_blame)",
        "pass",
    ),
    (
        "the first blame stays",
        "self._blame.setdefault(ticket[0], to_blame)",
        "self._blame[ticket[0]] = to_blame",
    ),
    (
        "who ended is to blame, not who waits",
        "queue.role, certain, absent, blamed)",
        "queue.role, certain, absent, (ticket[0],))",
    ),
]

LAVA = [
    (
        "LAVA: the first node speaks for its role",
        "first in messages.sent",
        "self._members[role][-1] in messages.sent",
    ),
    (
        "LAVA: the asker's role may release itself",
        " or messages.senders[own] == self._counts[own]",
        "",
    ),
    ("LAVA: a send releases by the first node", "effects += self._release_first(messages)", "pass"),
    (
        "LAVA: as many ends as members end the group",
        "self._ends >= len(self._roles)",
        "self._ends > len(self._roles)",
    ),
    (
        "LAVA: a send after the end of the group does nothing",
        "if self.over:\n            return []",
        "if False:\n            return []",
    ),
]

BLAME = [
    (
        "blame is sought along who waits for whom",
        "while layer:\n        before",
        "while False:\n        before",
    ),
    (
        "those that ended are to blame, and who waits for them blames them",
        "return knot.guilty or (() if knot.missing else tuple(knot.waiting))",
        "return () if knot.missing else tuple(knot.waiting)",
    ),
    (
        "who waits for nobody is to blame for those that wait for it",
        "return knot.guilty or (() if knot.missing else tuple(knot.waiting))",
        "return knot.guilty",
    ),
    (
        "a circle that leads on to another is not to blame",
        "if beyond:",
        "if False:",
    ),
    (
        "all of a circle are to blame",
        "low[here] = min(low[here], index[next_])",
        "pass",
    ),
]
