"""Collections of every kind, made from a configuration or from a file."""

from __future__ import annotations

from typing import Any, Final

from vectorkit.collections import files
from vectorkit.collections.collection import Collection
from vectorkit.collections.cpu import CpuCollection
from vectorkit.collections.gpu import GpuCollection
from vectorkit.collections.quantized import QuantizedCollection
from vectorkit.collections.sharded import ShardedCollection
from vectorkit.collections.validation import check_dim, check_metric, nearest
from vectorkit.collections.values.conversion import known_name
from vectorkit.collections.values.not_storable import short
from vectorkit.errors import InvalidOption
from vectorkit.operations import CollectionConfig

_KINDS: Final[dict[str, type[Collection]]] = {
    kind.kind: kind
    for kind in (CpuCollection, GpuCollection, QuantizedCollection, ShardedCollection)
}
_PLACED: Final = {"gpu", "quantized"}
"""The kinds that lie on a device of the caller's choice."""


def config_of(kind: str, dim: int, metric: str, **options: Any) -> CollectionConfig:
    """The whole configuration of a collection, with the defaults of its kind filled in.

    Options that are None are left to the kind. Raises what making the collection raises.

    >>> config_of("quantized", 8, "dot", codec="binary", rescore=None).rescore
    4
    """
    given = {name: value for name, value in options.items() if value is not None}
    kind = _check_kind(kind)
    if given and kind != QuantizedCollection.kind:
        raise InvalidOption(
            "a collection of this kind has no such option",
            got=f"kind={kind!r} with {', '.join(f'{name}={given[name]!r}' for name in given)}",
            wanted="kind='quantized' for codec, rescore and rows",
            remedy="change the kind, or leave these options out",
        )
    if kind != QuantizedCollection.kind:
        return CollectionConfig(check_dim(dim), check_metric(metric), kind)
    return QuantizedCollection(dim=dim, metric=metric, **given).config


def make_collection(name: str, config: CollectionConfig, device: Any = None) -> Collection:
    """An empty collection of this configuration, on `device` where one is named.

    Raises InvalidOption for a kind that is not known and for a device that the kind cannot lie on,
    and what the kind's own class raises.

    >>> make_collection("words", CollectionConfig(2, "dot", "cpu"))
    CpuCollection('words', 0 × 2, dot, version 0)
    """
    _check_kind(config.kind)
    options = {key: value for key, value in config.to_dict().items() if key != "kind"}
    if device is not None:
        if config.kind not in _PLACED:
            raise InvalidOption(
                "a collection of this kind lies on no device of choice",
                got=f"kind={config.kind!r} with device={device!r}",
                wanted="device=None",
                remedy="leave the device out",
            )
        options["device"] = device
    return _KINDS[config.kind](name=name, **options)


def load(path: files.PathLike, *, device: Any = None) -> Collection:
    """The collection that `save` put into a file, whole and checked, or none.

    Rows, slots, payloads, configuration, version and digest are those of the saved collection, and
    so is every answer. `device` names where a collection lies that was not on the CPU, by default
    the first accelerator. Raises CorruptSnapshot where the file is damaged, InvalidInput where a
    later vectorkit has written it, and OSError where it cannot be opened.

    >>> import tempfile, vectorkit as vk
    >>> c = vk.CpuCollection(dim=2, name="words")
    >>> _ = c.upsert(["a"], [[1, 0]])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     c.save(f"{folder}/words.vk")
    ...     vk.load(f"{folder}/words.vk")
    CpuCollection('words', 1 × 2, cosine, version 1)
    """
    contents = files.read(path)
    collection = make_collection(contents.name, contents.config, device)
    collection._adopt(contents)
    return collection


def _check_kind(kind: object) -> str:
    if (known := known_name(kind, _KINDS)) is not None:
        return known
    raise InvalidOption(
        "there is no collection of this kind",
        got=f"kind={short(kind)}",
        wanted=" or ".join(map(repr, _KINDS)),
        remedy=nearest(kind, _KINDS),
        allowed=list(_KINDS),
    )
