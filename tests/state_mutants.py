"""The rules of a group's coordination, as they stand in `actors`, a table a file:

`MESSAGES`, `SYNCS_AND_STARTS`, `ENDS` and `LAVA` in `coordination.py`, and each of the others in
the file of its name.

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
        "a send releases waits",
        "effects = self._release(messages.waits, messages)",
        "effects: list[Effect] = []",
    ),
    (
        "wait counts an own send",
        "elif data := self._seen_by(ticket[0], messages):",
        "elif (data := self._seen_by(ticket[0], messages)).keys() - {ticket[0]}:",
    ),
    (
        "wait needs one sender, not all",
        "elif data := self._seen_by(ticket[0], messages):",
        "elif len(data := self._seen_by(ticket[0], messages)) == len(self._roster.roles):",
    ),
    (
        "wait-all needs its caller's send",
        "if self._have_sent(messages, role, self._roster.roles[ticket[0]]):",
        (
            "if self._have_sent(messages, role, self._roster.roles[ticket[0]]) or (\n"
            "            role is None\n"
            "            and len({*messages.sent, ticket[0]}) == len(self._roster.roles)\n"
            "        ):"
        ),
    ),
    (
        "wait-all is released by the last send, not by the last but one",
        "if self._have_all_sent(messages):\n            effects",
        "if len(messages.sent) >= len(self._roster.roles) - 1:\n            effects",
    ),
    (
        "wait-all that asks last needs every member",
        "if len(messages.sent) < len(self._roster.roles):",
        "if len(messages.sent) < len(self._roster.roles) - 1:",
    ),
    (
        "wait-all with a role isn't released by any one of its nodes",
        "if self._roster.is_whole and messages.senders[role] == self._roster.counts[role]:",
        "if self._roster.is_whole and messages.senders[role]:",
    ),
    (
        "wait-all with a role that asks last needs all its nodes",
        "return self._roster.is_whole and messages.senders[role] == self._roster.counts[role]",
        "return messages.senders[role] > 0",
    ),
    (
        "wait-all with a role needs no other nodes",
        "return self._roster.is_whole and messages.senders[role] == self._roster.counts[role]",
        "return len(messages.sent) == len(self._roster.roles)",
    ),
    (
        "wait-all with a role is released by the role's last send",
        "effects += self._release(messages.waits_all.get(role), messages)",
        "pass",
    ),
    (
        "wait-all counts members, not sends",
        "if is_first:\n            messages.senders",
        "if True:\n            messages.senders",
    ),
    (
        "wait-all with a role that no node has is refused",
        (
            "if role is not None and role not in self._roster.counts and not self._gathers:\n"
            "            return self._refuse_role(ticket, role, slot)"
        ),
        (
            "if role is not None and role not in self._roster.counts and not self._gathers:\n"
            '            return self._enqueue(ticket, Queue("wait-all", role, (), role), slot)'
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
        "- values_bytes(before)\n            self._spoken = None",
        "- values_bytes(before)",
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
        "if len(meeting.called) < self._roster.size:",
        "if len(meeting.called) < self._roster.size - 1:",
    ),
    (
        "sync counts members, not calls",
        "if len(meeting.called) < self._roster.size:",
        "if len(meeting.waits.tickets) + 1 < self._roster.size:",
    ),
    (
        "a sync that all have passed is granted at once",
        "if self._semantics.passes_again:\n            return",
        "if False:\n            return",
    ),
    (
        "a withdrawn sync still counts as called",
        "self._dequeue(ticket, queue)\n        return missing",
        (
            "self._dequeue(ticket, queue)\n"
            '        if queue.kind == "sync":\n'
            "            self._meetings[queue.id].called.discard(ticket[0])\n"
            "        return missing"
        ),
    ),
    (
        "a send isn't a sync",
        "is_first = member not in messages.sent\n",
        (
            "is_first = member not in messages.sent\n"
            "        called: set[int] = set()\n"
            '        sync = Meeting(called, Queue("sync", message_id, called))\n'
            "        self._meetings.setdefault(message_id, sync).called.add(member)\n"
        ),
    ),
    (
        "a send doesn't open a sync",
        "effects = self._release(messages.waits, messages)",
        (
            "effects = self._release(messages.waits, messages)\n"
            "        if message_id in self._meetings:\n"
            "            effects += self._release(self._meetings[message_id].waits)"
        ),
    ),
    (
        "a sync isn't a send",
        "meeting.called.add(ticket[0])\n",
        (
            "meeting.called.add(ticket[0])\n"
            "            messages = self._messages.setdefault(sync_id, Messages())\n"
            "            messages.sent.put(ticket[0], {}, merge=True)\n"
        ),
    ),
    (
        "a start needs every node of the role",
        "if starts.releasers[own] == self._roster.counts[own]:",
        "if starts.releasers[own]:",
    ),
    (
        "a start that is asked last needs every node of the role",
        "if starts.releasers[role] == self._roster.counts[role]:",
        "if starts.releasers[role]:",
    ),
    (
        "a start counts members, not releases",
        "if member not in starts.released:",
        "if True:",
    ),
    (
        "a release for one role releases no other",
        "for role in self._roster.counts if roles is None else roles:",
        "for role in self._roster.counts:",
    ),
    (
        "a send of lava_start releases",
        "if message_id == START and",
        "if message_id == 'lava-start' and",
    ),
    (
        "a start that is expected of a role that no node has is refused",
        (
            "if role not in self._roster.counts:\n"
            "            return self._refuse_role(ticket, role, slot)"
        ),
        (
            "if role not in self._roster.counts:\n"
            '            return self._enqueue(ticket, Queue("start", START, (), role), slot)'
        ),
    ),
]

ENDS = [
    (
        "who had sent may end",
        'Queue("wait-all", message_id, messages.sent, role)',
        'Queue("wait-all", message_id, (), role)',
    ),
    (
        "who had called a sync may end",
        'Queue("sync", sync_id, called)',
        'Queue("sync", sync_id, ())',
    ),
    (
        "who had released the asker's role may end",
        'Queue("start", START, starts.released, role)',
        'Queue("start", START, (), role)',
    ),
    (
        "what is asked in vain is found at once",
        "return self._doubts.certain(queue, [ticket]) if self._roster.ended else []",
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
    ("a member ends once", " or member in self._roster.ended:", ":"),
    (
        "who gives up remembers whom to blame",
        "self._doubts.blame(ticket[0], to_blame)",
        "pass",
    ),
]

LAVA = [
    (
        "LAVA: the first node speaks for its role",
        "return self._roster.by_role[role][0] in messages.sent",
        "return self._roster.by_role[role][-1] in messages.sent",
    ),
    (
        "LAVA: the asker's role may release itself",
        " or self._has_role_sent(messages, own)",
        "",
    ),
    (
        "LAVA: a send releases by the first node",
        "effects += self._release_first(messages, member)",
        "pass",
    ),
    (
        "LAVA: as many ends as members end the group",
        "self._ends >= len(self._roster.roles)",
        "self._ends > len(self._roster.roles)",
    ),
    (
        "LAVA: a send after the end of the group does nothing",
        "if self.over:\n            return []",
        "if False:\n            return []",
    ),
]

ROSTER = [
    (
        "a wait isn't abandoned while one of its senders lives",
        "self.living[role] -= 1",
        "self.living[role] = 0",
    ),
]

QUEUES = [
    (
        "waiters are released in their order",
        "tuple(queue.tickets), {}",
        "tuple(reversed(queue.tickets)), {}",
    ),
]

DOUBTS = [
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
        "only an end within the role counts",
        "ended = self._roster.ended_in[queue.role]",
        "ended = self._roster.ended_in[None]",
    ),
    (
        "a hopeless wait is found once",
        "[ticket for ticket in tickets if ticket not in self._reported]",
        "list(tickets)",
    ),
    (
        "who has ended doesn't count where all wait",
        "0 < len(self._queues.waiting) == self._roster.alive",
        "0 < len(self._queues.waiting) == len(self._roster.roles)",
    ),
    (
        "a group without living members isn't stuck",
        "0 < len(self._queues.waiting) == self._roster.alive",
        "len(self._queues.waiting) == self._roster.alive",
    ),
    (
        "all of a group in which all wait is presumed hopeless",
        "(self._queues if all_wait else self._abandoned)",
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
        "a wait that is granted isn't abandoned any more",
        "self._abandoned.pop(queue, None)",
        "pass",
    ),
    (
        "only those that may send are missed",
        "if self._roster.roles[member] in roles]",
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
        "the first blame stays",
        "self._blame.setdefault(member, to_blame)",
        "self._blame[member] = to_blame",
    ),
    (
        "who ended is to blame, not who waits",
        "queue.role, certain, absent, blamed)",
        "queue.role, certain, absent, (ticket[0],))",
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
