"""Examples in docstrings as blocks of code, wherever in the docstring they stand."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

EXAMPLE = re.compile(r"^>>> .*(?:\n(?!$).*)*", re.MULTILINE)


class Doctests(Extension):
    """Puts a fence around each example before its docstring is parsed."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the text of one docstring."""
        if obj.docstring is not None:
            fenced = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
            obj.docstring.value = fenced
