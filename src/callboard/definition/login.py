"""Reads how a boot gets from a starting system to a shell: messages, prompts, login."""

import re

from callboard.definition.model import AutoLogin
from callboard.definition.reader import Section
from callboard.definition.tree import ListNode, MapNode, Node, ScalarNode


def read_auto_login(section: Section) -> AutoLogin | None:
    """The `auto_login` of a boot block, None when it has none (LAVA: auto_login)."""
    below = section.section("auto_login", f"`auto_login` of {section.title}")
    if below is None:
        return None
    found = read_login(below, required=True)
    below.close()
    return found


def read_login(section: Section, *, required: bool) -> AutoLogin | None:
    """The keys of a login, in a map of their own or among others.

    Args:
        section: The map.
        required: Whether it has to have them; else it is None where it has none of them.
    """
    keys = ("login_prompt", "username", "password_prompt", "password", "login_commands")
    if not required and not any(key in section for key in keys):
        section.ignore(*keys)
        return None
    prompt = section.string("login_prompt", required=True)
    username = section.string("username", required=True)
    password_prompt = section.string("password_prompt")
    password = section.string("password", empty=True)
    commands = section.strings("login_commands")
    check_patterns(section, "login_prompt", "password_prompt")
    if password is not None and password_prompt is None and "password_prompt" not in section:
        hint = "add it, for instance `password_prompt: 'Password:'`"
        what = f"{section.title} has a `password` but no `password_prompt`"
        section.error("CB020", section.key("password"), what, hint)
    return AutoLogin(prompt or "", username or "", password_prompt, password, commands)


def read_kernel_start_message(section: Section) -> str | None:
    """What LAVA waits for before a login; None where a boot block leaves it to the device."""
    node = section.get("parameters")
    if not isinstance(node, MapNode):
        return None
    for key, value in node.pairs:
        if key.text == "kernel-start-message":
            _check(section, value)
            what = f"`kernel-start-message` of {section.title}"
            return section.text_of(value, what, empty=True)
    return None


def check_patterns(section: Section, *keys: str) -> None:
    """Warn of values that are no regular expressions; a console that waits for one fails."""
    for key in keys:
        node = section.get(key)
        for item in node.items if isinstance(node, ListNode) else (node,):
            if item is not None:
                _check(section, item)


def _check(section: Section, node: Node) -> None:
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
        return
    try:
        re.compile(node.value)
    except re.error as error:
        message = f"`{node.text[:60]}` is no regular expression: {error.msg}"
        hint = "put a backslash before each of `\\ . ^ $ * + ? { } [ ] | ( )` that means itself"
        section.warning("CB191", node, message, hint)
