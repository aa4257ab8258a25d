"""Codecs: float32 rows as small codes that are scanned in their place."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from vectorkit.collections.codecs.base import NOTHING, Codec, Parameters
from vectorkit.collections.codecs.binary import BinaryCodec
from vectorkit.collections.codecs.int8 import Int8Codec
from vectorkit.collections.codecs.pq import PqCodec
from vectorkit.collections.values.conversion import known_name
from vectorkit.errors import InvalidOption

CODECS: Final[dict[str, type[Codec]]] = {
    codec.name: codec for codec in (Int8Codec, BinaryCodec, PqCodec)
}

__all__ = ["CODECS", "BinaryCodec", "Codec", "Int8Codec", "PqCodec", "codec_of"]


def codec_of(name: str, dim: int, seed: int = 0, parameters: Parameters = NOTHING) -> Codec:
    """The codec of this name, with the parameters that another one had; InvalidOption if unknown.

    >>> codec_of("int8", dim=384).row_bytes
    392
    """
    known = known_name(name, CODECS)
    if known is None:
        nearest = get_close_matches(str(name), CODECS, n=1, cutoff=0.0)[0]
        raise InvalidOption(
            "there is no such codec",
            got=repr(name),
            wanted=f"one of {', '.join(map(repr, CODECS))}",
            remedy=f"use {nearest!r}",
        )
    return CODECS[known](dim, seed, parameters)
