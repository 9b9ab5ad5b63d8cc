"""Safe YAML: plain data only, no duplicate keys, no alias bombs; errors give the key."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

from causaliqa.utils.text import brief

if TYPE_CHECKING:
    import yaml

__all__ = ["load", "shown"]

_CHARACTERS = 4_000_000
_VALUES = 200_000
"""Most values after expansion of aliases, which can multiply them (billion laughs)."""
_DEPTH = 30

_BRIEF = reprlib.Repr()
_BRIEF.maxstring = _BRIEF.maxother = 60


def shown(value: Any) -> str:
    """Return a value for a message, shortened.

    >>> shown({"a": ["x" * 1000] * 1000})[:20]
    "{'a': ['xxxxxxxxxxxx"
    """
    return _BRIEF.repr(value)


def load(text: str) -> Any:
    """Parse YAML into mappings, lists, text, numbers, truth values and dates.

    Raises:
        ValueError: the text is not valid, has a duplicate key, is too large or nested too deep; the message begins with
            the path of the key, if known.

    Example:
        >>> load("a: {b: [1, two]}")
        {'a': {'b': [1, 'two']}}
        >>> load("a: {b: 1, b: 2}")
        Traceback (most recent call last):
        ValueError: a.b: given twice, again in line 1
    """
    import yaml

    if len(text) > _CHARACTERS:
        raise ValueError(f"got {len(text)} characters, expected at most {_CHARACTERS}")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _check(node, (), 0)
        return loader.construct_document(node)
    except RecursionError:
        raise ValueError(f"nested more than {_DEPTH} deep") from None
    except _Refused as error:
        raise ValueError(str(error)) from None
    except Exception as error:
        # Errors of yaml and of its constructors: 2001-99-99, !!bool x.
        raise ValueError(f"not valid YAML: {brief(error, kind=False)}") from error


class _Refused(Exception):  # noqa: N818
    """Valid YAML that is refused."""


def _check(node: yaml.Node, path: tuple[str, ...], seen: int) -> int:
    """Check all values with aliases expanded; return their number so far."""
    import yaml

    where = f"{'.'.join(path)}: " if path else ""
    seen += 1
    if seen > _VALUES:
        raise _Refused(f"{where}stands for more than {_VALUES} values; write fewer aliases")
    if len(path) > _DEPTH:
        raise _Refused(f"{'.'.join(path[:3])}: nested more than {_DEPTH} deep")
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            seen = _check(item, (*path, str(number)), seen)
    elif isinstance(node, yaml.MappingNode):
        keys = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(f"{where}a key is a list or a mapping, expected text, in line {key.start_mark.line + 1}")
            if key.value in keys:
                raise _Refused(f"{'.'.join((*path, key.value))}: given twice, again in line {key.start_mark.line + 1}")
            keys.add(key.value)
            seen = _check(value, (*path, key.value), seen)
    return seen
