"""How values become JSON and back: cattrs, but stricter, for what comes may be anything.

An `int` is no `bool` and no text, a tuple is a list of the right length, a mapping an object
whose keys are texts, or whole numbers written as such. Fields that have their default are left
out; keys that no field has are refused.
"""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from callboard.definition.model import Block, NodeJob

Hook = Callable[[Any, Any], Any]

_NUMBER = re.compile(r"-?[0-9]{1,18}")
_LONGEST_SHOWN = 60


def make_converter(*, explains: bool) -> cattrs.Converter:
    """A converter for this schema.

    Args:
        explains: Whether its errors say where in the data something is wrong; that takes time.
    """
    made = cattrs.Converter(
        detailed_validation=explains, forbid_extra_keys=True, omit_if_default=True
    )
    made.register_structure_hook(int, lambda data, _: _exact(data, int))
    made.register_structure_hook(str, lambda data, _: _exact(data, str))
    made.register_structure_hook(bool, lambda data, _: _exact(data, bool))
    made.register_structure_hook(float, lambda data, _: _number(data))
    made.register_structure_hook(Path, lambda data, _: Path(_exact(data, str)))
    made.register_unstructure_hook(Path, str)
    made.register_structure_hook(bytes, lambda data, _: unpacked(_exact(data, str)))
    made.register_unstructure_hook(bytes, packed)
    made.register_structure_hook_func(_is_plain, lambda data, _: data)
    made.register_unstructure_hook_func(_is_plain, lambda data: data)
    made.register_structure_hook_factory(_is_set, _set_hook)
    made.register_unstructure_hook_func(_is_set, sorted)
    made.register_structure_hook_factory(_is_tuple, _tuple_hook)
    made.register_structure_hook_factory(_is_mapping, _mapping_hook)
    made.register_structure_hook(
        NodeJob,
        make_dict_structure_fn(
            NodeJob,
            made,
            _text=override(struct_hook=lambda data, _: _exact(data, str)),
            blocks=override(struct_hook=_blocks),
            _cattrs_detailed_validation=explains,
            _cattrs_forbid_extra_keys=True,
        ),
    )
    made.register_unstructure_hook(
        NodeJob,
        make_dict_unstructure_fn(
            NodeJob,
            made,
            _text=override(unstruct_hook=lambda _: "", omit_if_default=False),
            blocks=override(unstruct_hook=lambda blocks: blocks, omit_if_default=False),
            _cattrs_omit_if_default=True,
        ),
    )
    return made


def packed(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


def unpacked(text: str) -> bytes:
    """The bytes of such a text; raises ValueError when it is none."""
    return base64.b64decode(text, validate=True)


def shown(data: object) -> str:
    """Received data for a message, cut short."""
    text = repr(data)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def _exact(data: Any, kind: type) -> Any:
    if type(data) is not kind:
        raise TypeError(f"{shown(data)} is not of type {kind.__name__}")
    return data


def _number(data: Any) -> float:
    return float(data) if type(data) is int else float(_exact(data, float))


def _blocks(data: Any, _kind: object) -> tuple[Block, ...]:
    """The blocks of a job, which jobs share: `wire` has made them already."""
    if not isinstance(data, tuple) or not all(isinstance(each, Block) for each in data):
        raise TypeError(f"{shown(data)} are no blocks")
    return data


def _is_plain(kind: Any) -> bool:
    """Whether `kind` is `definition.model.Plain`: any JSON will do."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    return {str, int, float, bool, NoneType} < set(parts)


def _is_set(kind: Any) -> bool:
    return get_origin(kind) is frozenset


def _set_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    item = get_args(kind)[0]
    structure = converter.get_structure_hook(item)
    return lambda data, _: frozenset(structure(each, item) for each in _exact(data, list))


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    items = get_args(kind)
    if items[-1] is Ellipsis:
        item = items[0]
        structure = converter.get_structure_hook(item)
        if item is str or item is int:  # the check itself, without a call an item
            return lambda data, _: _all_exact(data, item)
        return lambda data, _: tuple([structure(each, item) for each in _exact(data, list)])
    hooks = [(converter.get_structure_hook(item), item) for item in items]

    def structure_each(data: Any, _: object) -> tuple[Any, ...]:
        if len(_exact(data, list)) != len(hooks):
            raise ValueError(f"{shown(data)} has not {len(hooks)} parts")
        return tuple([hook(each, item) for each, (hook, item) in zip(data, hooks, strict=True)])

    return structure_each


def _all_exact(data: Any, kind: type) -> tuple[Any, ...]:
    for each in _exact(data, list):
        _exact(each, kind)
    return tuple(data)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) in (Mapping, dict)


def _mapping_hook(kind: Any, converter: cattrs.Converter) -> Hook:
    key_type, item = get_args(kind)
    structure = converter.get_structure_hook(item)
    key = _int_key if key_type is int else str

    def structure_mapping(data: Any, _: object) -> dict[Any, Any]:
        return {key(name): structure(each, item) for name, each in _exact(data, dict).items()}

    return structure_mapping


def _int_key(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"the key {shown(text)} is no whole number")
    return int(text)
