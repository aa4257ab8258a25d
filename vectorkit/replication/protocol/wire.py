"""The encoding of messages: one byte for the kind, then the fields in their order.

Integers take 8 bytes, flags 1, texts and ids 2 + n, bytes and operations 4 + n, tuples 4 and their
items; a record is its epoch, its offset and its operation in the encoding that hash, log and
snapshots use too.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, get_type_hints

from vectorkit.operations import Operation
from vectorkit.operations import decode as decode_operation
from vectorkit.operations import encode as encode_operation
from vectorkit.replication.protocol.log import HASH_BYTES, Position, Record
from vectorkit.replication.protocol.messages import MESSAGE_TYPES, Ack, Message
from vectorkit.types import Id

_INT: Final = struct.Struct("<q")
_SHORT: Final = struct.Struct("<H")
_LONG: Final = struct.Struct("<I")
_RECORD: Final = struct.Struct("<qqI")


def encode(message: Message) -> bytes:
    """The bytes of a message.

    >>> from vectorkit.replication.protocol.messages import Close
    >>> encode(Close(3, "too_old")).hex()
    '0303000000000000000700746f6f5f6f6c64'
    """
    kind = type(message)
    return bytes((MESSAGE_TYPES.index(kind),)) + _CODECS[kind].put(message)


def decode(data: bytes) -> Message:
    """The message of these bytes.

    >>> from vectorkit.replication.protocol.messages import Close
    >>> decode(encode(Close(3, "too_old")))
    Close(generation=3, reason='too_old')
    """
    decoded: Message
    decoded, end = _CODECS[MESSAGE_TYPES[data[0]]].take(data, 1)
    assert end == len(data), (end, len(data))
    return decoded


def wire_size(message: Message) -> int:
    """`len(encode(message))`, without encoding.

    >>> from vectorkit.replication.protocol.messages import Close
    >>> wire_size(Close(3, "too_old"))
    18
    """
    codec = _CODECS[type(message)]
    return 1 + codec.fixed + (codec.size(message) if codec.size else 0)


class _Codec(NamedTuple):
    put: Callable[[Any], bytes]
    take: Callable[[bytes, int], tuple[Any, int]]
    fixed: int
    """The bytes that every value takes; `size` says how many more this one does."""
    size: Callable[[Any], int] | None = None


def _take_int(data: bytes, at: int) -> tuple[int, int]:
    return _INT.unpack_from(data, at)[0], at + 8


def _sized(length: struct.Struct, to_bytes: Callable[[Any], bytes], back: Any) -> _Codec:
    def put(value: Any) -> bytes:
        raw = to_bytes(value)
        return length.pack(len(raw)) + raw

    def take(data: bytes, at: int) -> tuple[Any, int]:
        start = at + length.size
        end = start + length.unpack_from(data, at)[0]
        return back(data[start:end]), end

    return _Codec(put, take, length.size, lambda value: len(to_bytes(value)))


def _tuple_of(item: _Codec) -> _Codec:
    def take(data: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        items, end = [], at + 4
        for _ in range(_LONG.unpack_from(data, at)[0]):
            value, end = item.take(data, end)
            items.append(value)
        return tuple(items), end

    return _Codec(
        lambda values: _LONG.pack(len(values)) + b"".join(map(item.put, values)),
        take,
        _LONG.size,
        lambda values: item.fixed * len(values) + (sum(map(item.size, values)) if item.size else 0),
    )


def _take_record(data: bytes, at: int) -> tuple[Record, int]:
    epoch, offset, length = _RECORD.unpack_from(data, at)
    start = at + _RECORD.size
    encoded = data[start : start + length]
    return Record(epoch, offset, decode_operation(encoded), encoded), start + length


def _record_of_fields(kind: type) -> _Codec:
    codecs = [(name, _codec(hint)) for name, hint in get_type_hints(kind).items()]
    varying = [(attrgetter(name), codec.size) for name, codec in codecs if codec.size]

    def take(data: bytes, at: int) -> tuple[Any, int]:
        values = []
        for _, codec in codecs:
            value, at = codec.take(data, at)
            values.append(value)
        return kind(*values), at

    return _Codec(
        lambda value: b"".join(codec.put(getattr(value, name)) for name, codec in codecs),
        take,
        sum(codec.fixed for _, codec in codecs),
        _total(varying) if varying else None,
    )


def _total(
    parts: Sequence[tuple[Callable[[Any], Any], Callable[[Any], int]]],
) -> Callable[[Any], int]:
    """The sizes of some parts of a value; of one or two, as of most messages, without a loop."""
    (first, first_size), *rest = parts
    if not rest:
        return lambda value: first_size(first(value))
    if len(rest) == 1:
        second, second_size = rest[0]
        return lambda value: first_size(first(value)) + second_size(second(value))
    return lambda value: sum([size(part(value)) for part, size in parts])


def _codec(hint: Any) -> _Codec:
    return _PLAIN[hint] if hint in _PLAIN else _record_of_fields(hint)


_INTEGER: Final = _Codec(_INT.pack, _take_int, _INT.size)
_PLAIN: Final[dict[Any, _Codec]] = {
    int: _INTEGER,
    str: _sized(_SHORT, str.encode, lambda raw: raw.decode()),
    bytes: _sized(_LONG, bytes, bytes)._replace(size=len),
    bool: _Codec(lambda value: bytes((value,)), lambda data, at: (bool(data[at]), at + 1), 1),
    Id: _sized(_SHORT, lambda value: json.dumps(value).encode(), json.loads),
    Operation: _sized(_LONG, encode_operation, decode_operation),
    tuple[int, ...]: _tuple_of(_INTEGER),
    tuple[Record, ...]: _tuple_of(
        _Codec(
            lambda each: _RECORD.pack(each.epoch, each.offset, len(each.encoded)) + each.encoded,
            _take_record,
            _RECORD.size,
            lambda each: len(each.encoded),
        )
    ),
}
_POSITION: Final = _record_of_fields(Position)
_PLAIN[Position] = _POSITION._replace(fixed=_POSITION.fixed + HASH_BYTES, size=None)
_PLAIN[Ack] = _record_of_fields(Ack)
_CODECS: Final = {kind: _codec(kind) for kind in MESSAGE_TYPES}
