"""Examples in docstrings as blocks of code, and exported functions of the name of their module."""

from __future__ import annotations

import re
from typing import Any

from griffe import Alias, Extension, Module, Object

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!$).*)*", re.MULTILINE)


class Doctests(Extension):
    """Puts a fence around each example before its docstring is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the text of one docstring."""
        if obj.docstring is not None:
            fenced = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            obj.docstring.value = fenced


class ExportedFunctions(Extension):
    """Shows `sim.sweep`, the function that `sim` exports, and not the module `sim/sweep.py`."""

    def on_package(self, *, pkg: Module, **_: Any) -> None:
        """Let an exported function or class take the place of the module of its name."""
        for package in (pkg, *pkg.modules.values()):
            for name in map(str, package.exports or ()):
                module = package.members.get(name)
                if isinstance(module, Module) and name in module.members:
                    package.members[name] = Alias(name, target=module.members[name], parent=package)
