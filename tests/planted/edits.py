"""Bugs planted as edits of the protocol's source: the product has no switch for any of them.

An edit names a function and the text to replace in it. The function's code object is exchanged
for that of the edited source, wherever the function is referred to, and put back afterwards. A
text that does not stand in the source exactly once is an error, so no bug can rot in silence.
"""

import __future__

import ast
import inspect
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from types import CodeType

from tests.planted.places import PLACES


class StaleEdit(Exception):
    """The source has moved on: the text of an edit is not there, or more than once."""


@dataclass(frozen=True)
class Edit:
    """In a function, by its name in `PLACES`, one text instead of another."""

    target: str
    before: str
    after: str


def function_of(target):
    """The function itself, also of a property."""
    found = import_module(f"vectorkit.{PLACES[target]}")
    owner = None
    for name in target.split("."):
        owner, found = found, inspect.getattr_static(found, name)
    if isinstance(found, property):
        return found.fget
    if isinstance(found, cached_property):
        return found.func
    assert inspect.isfunction(found), (owner, found)
    return found


def edited_code(function, edits):
    """The code of a function whose source has been edited."""
    source = "if True:\n" + inspect.getsource(function)  # So that methods keep their indentation.
    if not source.splitlines()[1].startswith(" "):
        source = source.partition("\n")[2]
    for edit in edits:
        if source.count(edit.before) != 1:
            raise StaleEdit(f"{edit.target} has {source.count(edit.before)} × {edit.before!r}")
        source = source.replace(edit.before, edit.after)
    tree = ast.parse(source)
    definition = tree.body[0] if isinstance(tree.body[0], ast.FunctionDef) else tree.body[0].body[0]
    definition.decorator_list = []
    tree.body = [definition]
    flags = __future__.annotations.compiler_flag
    whole = compile(tree, f"<planted in {function.__qualname__}>", "exec", flags, dont_inherit=True)
    (code,) = (each for each in whole.co_consts if isinstance(each, CodeType))
    if code.co_freevars != function.__code__.co_freevars:
        raise StaleEdit(f"{function.__qualname__} closes over other names")
    return code


@contextmanager
def planted(*edits):
    """With these edits in the code; without them again afterwards."""
    by_function = {}
    for edit in edits:
        by_function.setdefault(function_of(edit.target), []).append(edit)
    codes = {function: edited_code(function, each) for function, each in by_function.items()}
    originals = {function: function.__code__ for function in codes}
    try:
        for function, code in codes.items():
            function.__code__ = code
        yield
    finally:
        for function, code in originals.items():
            function.__code__ = code
