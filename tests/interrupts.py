"""Exceptions at any bytecode of the package: a tracer raises one at the n-th that a call runs."""

import sys
from collections import Counter
from os import sep
from pathlib import Path

import vectorkit


def files_of(*modules):
    """Where the code of modules stands, of a package all that is below it, as `points_of` wants."""
    files = [Path(module.__file__) for module in modules]
    return tuple(f"{f.parent}{sep}" if f.name == "__init__.py" else str(f) for f in files)


PACKAGE = files_of(vectorkit)

VISITS = 2
"""How often an exception arrives at the same instruction: a loop over rows tells nothing new."""


class Interrupt(BaseException):
    """What arrives: no handler of an ordinary error may take it for one."""


class AlarmRang(Exception):
    """The same as an ordinary error, as a signal handler may raise it."""


def _traced(on_opcode, files):
    def local(frame, event, _):
        if event == "opcode":
            on_opcode(frame.f_code, frame.f_lasti)
        return local

    def begin(frame, event, _):
        if not frame.f_code.co_filename.startswith(files):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return local

    return begin


def _run(call, on_opcode, files):
    before = sys.gettrace()
    sys.settrace(_traced(on_opcode, files))
    try:
        return call()
    finally:
        sys.settrace(before)


def points_of(call, files=PACKAGE):
    """The numbers of the bytecodes of `call` at which exceptions are to arrive."""
    visits, points, number = Counter(), [], 0

    def note(code, instruction):
        nonlocal number
        number += 1
        visits[code, instruction] += 1
        if visits[code, instruction] <= VISITS:
            points.append(number)

    _run(call, note, files)
    assert points, f"nothing of these files runs: {files}"
    return points


def interrupted_at(point, call, files=PACKAGE, error=Interrupt):
    """Run a call and raise at one of its bytecodes; whether it got there."""
    number = 0

    def strike(code, instruction):
        nonlocal number
        number += 1
        if number == point:
            raise error(f"{code.co_qualname} +{instruction}")

    try:
        _run(call, strike, files)
    except error:
        return True
    return False


def called_at(point, call, handler, files=PACKAGE):
    """Run a call, and a handler at one of its bytecodes, as a signal does; what the call gives."""
    number = 0

    def strike(*_):
        nonlocal number
        number += 1
        if number == point:
            handler()

    return _run(call, strike, files)
