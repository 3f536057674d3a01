"""Finds what of a file must never be shown: `secrets`, passwords, headers, logins in URLs."""

import json
import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches

from callboard.definition.model import Plain
from callboard.definition.source import Source
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode

MASK = "[MASKED]"
SHORTEST = 4
"""Characters of the shortest secret; masking shorter ones would destroy the logs."""

_SECTION = re.compile(
    r"^([ \t]*)(?:[^\s\w\"'][^\w\"'\n]*)?[\"']?\w*secret\w*[\"']?[ \t]*(?::|$)",
    re.MULTILINE | re.IGNORECASE,
)
_MENTION = re.compile("secret", re.IGNORECASE)
_LOGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#\s]+)@\S*", re.IGNORECASE)
_KEY = re.compile(r"^([ \t]*)[\w\"'][^\n]*:", re.MULTILINE)


def hide_secrets(root: Node | None, source: Source) -> None:
    """Hides the secrets of the file; `root` is None if the file could not be read."""
    if not isinstance(root, MapNode):
        source.hidden.extend(_mentions(source.text))
        return
    hide_passwords(root, source)
    # Where the section is given twice, the tree holds only one.
    source.hidden.extend(_sections(source.text))
    secrets = {each for each in _sent(root) if len(each) >= SHORTEST} | source.secrets
    for key, value in root.pairs:
        if _resembles(key.text):
            # An empty section was perhaps not indented, so that it goes on below.
            empty = isinstance(value, ScalarNode) and value.value is None
            end = len(source.text) if empty else max(key.end, value.end)
            source.hidden.append((key.offset, end))
            for scalar in scalars(value):
                source.hidden.append((scalar.offset, scalar.end))
                if len(scalar.text) >= SHORTEST:
                    secrets.add(scalar.text)
    source.secrets = frozenset(secrets)


def hide_passwords(root: Node | None, source: Source) -> None:
    """Hides the passwords of logins on consoles; `root` is None if the file could not be read.

    One that equals the user's name is hidden only where it stands: masking each `root` would
    destroy the logs.
    """
    if root is None:
        return
    found: set[str] = set()
    for password, username in _passwords(root):
        source.hidden.append((password.offset, password.end))
        if len(password.text) >= SHORTEST and password.text != username:
            found.add(password.text)
    source.secrets |= found


def _passwords(node: Node) -> Iterator[tuple[ScalarNode, str]]:
    """The passwords of logins on consoles, each with the name of its user."""
    match node:
        case ListNode():
            for item in node.items:
                yield from _passwords(item)
        case MapNode():
            below = {key.text: value for key, value in node.pairs}
            if _is_login(below):
                username = below.get("username")
                name = username.text if isinstance(username, ScalarNode) else ""
                yield from ((scalar, name) for scalar in scalars(below["password"]))
            for value in below.values():
                yield from _passwords(value)
        case _:
            pass


def _is_login(keys: Collection[str]) -> bool:
    """Whether a map with those keys says how to log in on a console, with a password."""
    return "password" in keys and not {"login_prompt", "password_prompt"}.isdisjoint(keys)


def secret_of(url: str) -> str | None:
    """The login in a URL, None where it has none; ssh's is only a name."""
    found = _LOGIN.fullmatch(url) if "://" in url else None
    if found is None or found[1].lower() == "ssh":
        return None
    return found[2]


def _sent(node: Node) -> Iterator[str]:
    """What is sent to servers to be let in: headers, and logins in URLs."""
    match node:
        case ScalarNode(text=text):
            login = secret_of(text)
            if login is not None:
                yield login
        case ListNode():
            for item in node.items:
                yield from _sent(item)
        case MapNode():
            for key, value in node.pairs:
                if key.text == "headers":
                    yield from (scalar.text for scalar in scalars(value))
                yield from _sent(value)


def _resembles(key: str) -> bool:
    """Whether a key is `secrets`, or most likely was meant to be."""
    name = key.lower()
    if "secret" in name:
        return True
    alike = 5 <= len(name) <= 9 and "s" in {name[0], name[-1]}
    return alike and bool(get_close_matches(name, ["secrets"], 1, 0.7))


def scalars(node: Node, *, keys: bool = False) -> Iterator[ScalarNode]:
    """The single values of a node, on request its keys too."""
    match node:
        case ScalarNode():
            yield node
        case ListNode():
            for item in node.items:
                yield from scalars(item, keys=keys)
        case MapNode():
            for key, value in node.pairs:
                if keys:
                    yield key
                yield from scalars(value, keys=keys)


def _sections(text: str) -> list[tuple[int, int]]:
    """Each map entry that looks like `secrets`, with what is indented below it."""
    found: list[tuple[int, int]] = []
    for match in _SECTION.finditer(text):
        if not found or match.start() >= found[-1][1]:
            found.append((match.start(), _end(text, match.end(), len(match.group(1)))))
    return found


def _mentions(text: str) -> list[tuple[int, int]]:
    """Each line of a broken file that has to do with secrets, up to the next key at its top."""
    if text.lstrip().startswith("{"):
        first = _MENTION.search(text)
        return [(first.start(), len(text))] if first else []
    top = min((len(key.group(1)) for key in _KEY.finditer(text)), default=0)
    found: list[tuple[int, int]] = []
    for match in _MENTION.finditer(text):
        if not found or match.start() >= found[-1][1]:
            found.append((match.start(), _end(text, match.end(), top)))
    return found


def _end(text: str, offset: int, indent: int) -> int:
    """Where the first line with a key begins that is indented by `indent` or less."""
    key = re.compile(rf"^[ \t]{{0,{indent}}}[\w\"'][^\n]*:", re.MULTILINE)
    end = key.search(text, offset)
    return end.start() if end else len(text)


def masked_text(root: MapNode, source: Source) -> str:
    """The text with every secret replaced, in its section and wherever else it stands."""
    secret = next((value for key, value in root.pairs if key.text == "secrets"), None)
    replaced = {scalar.offset: (scalar, MASK) for scalar in (scalars(secret) if secret else ())}
    replaced |= {scalar.offset: (scalar, MASK) for scalar, _ in _passwords(root)}
    if not replaced and not source.secrets:
        return source.text
    for scalar in scalars(root, keys=True):
        shown = source.masked(scalar.text)
        if shown != scalar.text:
            # Quoted anew, for `[` has a meaning in a bare value, and folding may hide a secret.
            replaced.setdefault(scalar.offset, (scalar, shown))
    text = source.text
    for offset in sorted(replaced, reverse=True):
        scalar, shown = replaced[offset]
        written = text[offset : scalar.end].rstrip()
        if written:
            quoted = json.dumps(shown, ensure_ascii=False)
            text = text[:offset] + quoted + text[offset + len(written) :]
    return source.masked(text)


def masked(data: Plain, secrets: Collection[str]) -> Plain:
    """Plain data with every secret in its texts replaced."""
    match data:
        case str():
            return _masked_string(data, secrets)
        case list():
            return [masked(item, secrets) for item in data]
        case dict():
            shown = {
                _masked_string(key, secrets): masked(value, secrets) for key, value in data.items()
            }
            return shown | {"password": MASK} if _is_login(data) else shown
        case _:
            return data


def _masked_string(text: str, secrets: Collection[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text
