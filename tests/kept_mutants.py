"""What keeps a coordinator's groups on the disk; each entry is as in `tests.state_mutants`."""

STORE = [
    (
        "an answer waits for what is still to be written",
        "        if self._gathered.groups:\n            self._gathered.waiters",
        "        if False:\n            self._gathered.waiters",
    ),
    (
        "an answer waits for what is being written",
        "elif self._under_way is not None and self._under_way.groups:",
        "elif False:",
    ),
    (
        "old segments stay until each group has its image",
        "if self._has_old and not self._stale:",
        "if self._has_old:",
    ),
    (
        "a group whose image is to be written needs no lines",
        "if self.failure is None and group not in self._unwritten:",
        "if self.failure is None:",
    ),
    (
        "what could not be written is written later",
        "self._unwritten |= gathered.groups",
        "self._unwritten |= batch.groups",
    ),
    (
        "the log says once that the disk fails",
        "if self.failure is None:\n            text",
        "if True:\n            text",
    ),
    (
        "an end that nobody asked for is written too",
        "End(group) if isinstance(request, Forget) else Change(request, begun, ends)",
        "Change(request, begun, ends)",
    ),
]

SEGMENTS = [
    ("what is written is on the disk", "            self._sync(self._file)\n", ""),
    (
        "what a killed coordinator has written is on the disk before it counts",
        "if number == self.index.newest:",
        "if number == 0:",
    ),
    (
        "only the end of the last segment can be unfinished",
        "if damage.unfinished and self._next >= certain:",
        "if damage.unfinished:",
    ),
    (
        "what older segments were removed for is never taken for unfinished",
        "oldest=self.index.newest, certain=self._next)",
        "oldest=self.index.newest)",
    ),
    (
        "what was not acknowledged before a segment doesn't count",
        "while following is None or self._next < certain:",
        "while following is None or offset < len(data):",
    ),
    (
        "a directory works by its own rules",
        "if index is not None and index.rules != rules:",
        "if False:",
    ),
]

RECORDS = [
    (
        "a body has the checksum that it was written with",
        "if zlib.crc32(body) != checksum:",
        "if False:",
    ),
    (
        "a header has the checksum that it was written with",
        "if match is None or zlib.crc32(match[0][:_CHECKED]) != int(match[4], 16):",
        "if match is None:",
    ),
    (
        "what is followed by a record was finished",
        "if any(_announced(data, match.start()) is not None for match in following):",
        "if False:",
    ),
    ("records come one after the other", "if number not in (found, None):", "if False:"),
]

DIRECTORY = [
    ("a new file is on the disk before it has its name", "            os.fsync(file)\n", ""),
    ("a new file's name is on the disk", "            os.fsync(self._descriptor)\n", ""),
    (
        "two servers never share a directory",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "pass",
    ),
]

RECOVERY = [
    (
        "a group without its beginning is passed over",
        "        elif group not in self.since:\n",
        "        elif False:\n",
    ),
    (
        "a group without its beginning has to have an end or an image",
        "for group, place in self._passed.items():",
        "for group, place in ():",
    ),
]

KEPT = [
    (
        "of a refused request only its client survives",
        "Complete(request.client) if refused else request",
        "request",
    ),
]
