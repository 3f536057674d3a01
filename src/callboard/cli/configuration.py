"""callboard.toml: options for those who don't want to type them each time."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

import click

from callboard.cli.output import Refusal, refusal
from callboard.home import own_folder

NAME = "callboard.toml"
_BAD = "CB106"


def paths() -> tuple[Path, Path]:
    """Where configuration files may lie: the user's, then the working folder's."""
    return own_folder("XDG_CONFIG_HOME", ".config") / NAME, Path(NAME)


def defaults(application: click.Group) -> dict[str, dict[str, object]]:
    """The options in the configuration files, by verb; the file here wins over the user's.

    Raises:
        Refusal: A file can't be read, or has something that is no option.
    """
    found: dict[str, dict[str, object]] = {}
    for path in paths():
        for verb, options in _read(path, application).items():
            found.setdefault(verb, {}).update(options)
    return found


def _read(path: Path, application: click.Group) -> Mapping[str, Mapping[str, object]]:
    # Not Path.exists: what this user may not look into is not there either.
    if not os.path.exists(path):  # noqa: PTH110
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise refusal(_BAD, f"{path} can't be read: {error}") from error
    return {verb: _options(path, application, verb, table) for verb, table in content.items()}


def _options(
    path: Path, application: click.Group, verb: str, table: object
) -> Mapping[str, object]:
    command = application.commands.get(verb)
    if command is None or not isinstance(table, dict):
        known = ", ".join(f"[{name}]" for name in sorted(application.commands))
        raise refusal(_BAD, f"{path}: '{verb}' is no table of a command", f"there are {known}")
    options = {
        max(option.opts, key=len).lstrip("-"): option
        for option in command.params
        if isinstance(option, click.Option)
    }
    values: dict[str, object] = {}
    for key, value in table.items():
        option = options.get(key)
        if option is None or option.name is None:
            known = ", ".join(sorted(options))
            raise refusal(_BAD, f"{path}: [{verb}] has no option '{key}'", f"there are {known}")
        _check(path, verb, key, option, value)
        listed = not option.multiple or isinstance(value, list)
        values[option.name] = value if listed else [value]
    return values


def _check(path: Path, verb: str, key: str, option: click.Option, value: object) -> None:
    wanted = "true or false" if option.is_flag else _one(option.type.name)
    if isinstance(option.type, click.Choice):
        wanted = " or ".join(f"'{each}'" for each in option.type.choices)
    if option.multiple:
        wanted = f"{wanted}, or a list of them"
    each = value if option.multiple and isinstance(value, list) else [value]
    kind = bool if option.is_flag else str | int | float
    fits = all(isinstance(one, kind) and isinstance(one, bool) == option.is_flag for one in each)
    try:
        if fits and not option.is_flag:
            for one in each:
                option.type.convert(one, option, None)
    except click.BadParameter:
        fits = False
    if not fits:
        raise _misfit(path, verb, key, wanted)


def _one(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _misfit(path: Path, verb: str, key: str, wanted: str) -> Refusal:
    return refusal(_BAD, f"{path}: '{key}' of [{verb}] can't have this value", f"it is {wanted}")
