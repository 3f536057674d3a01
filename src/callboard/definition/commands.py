"""Reads the commands of a devices file: what callboard runs on this machine for a device."""

import shlex

from callboard.definition.reader import Section
from callboard.definition.tree import ListNode, Node, ScalarNode

Command = tuple[str, ...]
"""A program and its arguments; no shell reads them."""

_HINT = "write a text, a list of words, or a list of such lists"


def read_commands(section: Section, key: str) -> tuple[Command, ...]:
    """One command or several, run one after the other; empty where there is none.

    A text is split at its blanks as a shell would, and quotes keep words together. A list of
    texts is one command word by word, a list of lists is several of those.
    """
    node = section.get(key)
    if node is None:
        return ()
    several = (
        isinstance(node, ListNode)
        and bool(node.items)
        and all(isinstance(item, ListNode) for item in node.items)
    )
    nodes = node.items if several and isinstance(node, ListNode) else (node,)
    what = f"`{key}` of {section.title}"
    commands = (_command(section, each, what) for each in nodes)
    return tuple(command for command in commands if command)


def read_command(section: Section, key: str) -> Command:
    """One command that must be there; empty when something is wrong with it."""
    if section.required(key, f"for instance `{key}: telnet serial-1 7001`") is None:
        return ()
    commands = read_commands(section, key)
    if len(commands) > 1:
        hint = "put them into a script"
        message = f"`{key}` of {section.title} must be one command"
        section.error("CB190", section.get(key) or section.node, message, hint)
    return commands[0] if commands else ()


def _command(section: Section, node: Node, what: str) -> Command:
    if isinstance(node, ListNode):
        texts = [section.text_of(item, f"each word of {what}", empty=True) for item in node.items]
        words = [text for text in texts if text is not None]
        if len(words) < len(texts):
            return ()
        if words and len(words[0].split()) > 1:
            hint = "a list holds the words of one command; for several write a list of lists"
            message = f"{what} begins with `{words[0][:60]}`, which is more than one word"
            section.error("CB190", node, message, hint)
            return ()
    elif isinstance(node, ScalarNode):
        text = section.text_of(node, what)
        if text is None:
            return ()
        try:
            words = shlex.split(text)
        except ValueError as error:
            message = f"{what} can't be split into words: {str(error).lower()}"
            section.error("CB190", node, message, "close the quote, or write a list of words")
            return ()
    else:
        section.error("CB021", node, f"{what} must be a command, but is a map", _HINT)
        return ()
    if not words or not words[0].strip():
        section.error("CB190", node, f"{what} names no program", _HINT)
        return ()
    if any("\0" in word for word in words):
        section.error("CB190", node, f"{what} holds a NUL character", "remove it")
        return ()
    return tuple(words)
