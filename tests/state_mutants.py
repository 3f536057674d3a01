"""The rules of a group's coordination, as they stand in `actors/coordination.py`.

Each entry is a rule, the text that keeps it, and what breaks it; see `tests.mutants`.
"""

MESSAGES = [
    (
        "a second send is merged into the first",
        "before = messages.sent.get(member, {}) if self._semantics.merges else {}",
        "before: Mapping[str, str] = {}",
    ),
    ("the later of two values wins", "{**before, **data}", "{**data, **before}"),
    ("data is as new as the last send", "messages.snapshot = None", "pass"),
    (
        "data that was handed out gets no senders",
        "MappingProxyType(self.sent.copy())",
        "MappingProxyType(self.sent)",
    ),
    (
        "data that was handed out gets no values",
        "messages.sent[member] = MappingProxyType({**before, **data})",
        "messages.sent.setdefault(member, {}).update(data)",
    ),
    (
        "all that are released together share the data",
        "return [Grant(ticket, data) for ticket in tickets]",
        "return [Grant(ticket, dict(data)) for ticket in tickets]",
    ),
    (
        "waiters are released in their order",
        "self._grant(list(queue.tickets), messages)",
        "self._grant(list(reversed(queue.tickets)), messages)",
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
            "            return self._refuse_role(ticket, role)"
        ),
        (
            "if role is not None and role not in self._counts:\n"
            '            return self._enqueue(ticket, _Queue("wait-all", message_id, role))'
        ),
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
        "self._dequeue(ticket)\n        return missing",
        (
            "self._dequeue(ticket)\n"
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
        "return all(m in for_all or m in for_asker",
        "return any(m in for_all or m in for_asker",
    ),
    (
        "a release for one role releases no other",
        "self._started[role].add(member)",
        "self._started[None].add(member)",
    ),
    ("a send of lava_start releases", "if message_id == START:", "if message_id == 'lava-start':"),
    (
        "a start that is expected of a role that no node has is refused",
        "if role not in self._counts:\n            return self._refuse_role(ticket, role)",
        (
            "if role not in self._counts:\n"
            '            return self._enqueue(ticket, _Queue("start", START, role, role))'
        ),
    ),
]

ENDS = [
    (
        "an end makes wait-all hopeless",
        "return bool(ended - self._messages[queue.id].sent.keys())",
        "return False",
    ),
    (
        "an end makes a sync hopeless",
        "return bool(ended - self._syncs[queue.id].called)",
        "return False",
    ),
    (
        "an end makes a start hopeless",
        "return bool(ended - self._started[None] - self._started[queue.asker])",
        "return False",
    ),
    (
        "an end makes no wait hopeless for certain",
        'case "wait":\n                return False',
        'case "wait":\n                return bool(ended)',
    ),
    (
        "who had sent may end",
        "return bool(ended - self._messages[queue.id].sent.keys())",
        "return bool(ended)",
    ),
    (
        "who had called a sync may end",
        "return bool(ended - self._syncs[queue.id].called)",
        "return bool(ended)",
    ),
    (
        "who had released all roles may end",
        "ended - self._started[None] - self._started[queue.asker]",
        "ended - self._started[queue.asker]",
    ),
    (
        "who had released the asker's role may end",
        "ended - self._started[None] - self._started[queue.asker]",
        "ended - self._started[None]",
    ),
    (
        "only an end within the role counts",
        "ended = self._ended[queue.role]",
        "ended = self._ended[None]",
    ),
    (
        "a hopeless wait is found once",
        "[ticket for ticket in tickets if ticket not in self._reported]",
        "list(tickets)",
    ),
    (
        "what is asked in vain is found at once",
        "return self._certain(queue, [ticket])",
        "return []",
    ),
    (
        "an ended member waits no more",
        "for ticket in own:\n            self._dequeue(ticket)\n",
        "\n",
    ),
    (
        "an ended member's requests are refused",
        '[Refusal(ticket, "the job has ended") for ticket in own]',
        "[]",
    ),
    ("a member ends once", " or member in self._ended[None]:", ":"),
    (
        "who has ended doesn't count where all wait",
        "0 < len(self._tickets) == self._alive",
        "0 < len(self._tickets) == len(self._roles)",
    ),
    (
        "a group without living members isn't stuck",
        "0 < len(self._tickets) == self._alive",
        "len(self._tickets) == self._alive",
    ),
    (
        "all of a group in which all wait is presumed hopeless",
        "self._queues if self.stuck else self._abandoned",
        "self._abandoned",
    ),
    (
        "who waits for ended senders is suspicious though others work",
        "return self.stuck or bool(self._abandoned)",
        "return self.stuck",
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
        "if role in roles and m not in sent",
        "if m not in sent",
    ),
    (
        "who has released is not missed",
        "if m not in started)",
        "if m)",
    ),
    (
        "who waits for more than a start isn't delayed",
        'delayed = all(self._waiting[ticket].kind == "start"',
        'delayed = any(self._waiting[ticket].kind == "start"',
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
