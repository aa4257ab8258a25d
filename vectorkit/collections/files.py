"""Collections on disk: one safetensors file each, written whole or not at all, checked when read.

The tensors are what the backend keeps of the rows (`Backend.content`), the ids and the payloads.
The file's metadata hold a manifest in JSON behind its checksum, and the manifest holds the dtype,
shape and checksum of every tensor. Safetensors' own header is used for places only, so damage
anywhere is found before a collection is made. Any safetensors reader can open the file.

Ids are one int64 tensor, or one text with the length of each id. Payloads are one JSON array, left
out where no row has any.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import xxhash
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save, save_file

from vectorkit.errors import CorruptSnapshot, InvalidInput, SaveFailed
from vectorkit.operations import CollectionConfig
from vectorkit.types import Id, Payload

FORMAT: Final = 1
"""Raised where an older vectorkit could misread a file. Keys that it may overlook raise nothing."""

_LENGTH_BYTES: Final = 8
_READ_BYTES: Final = 1 << 26
"""Bytes of one read: an interrupt is seen between two of them."""

_OTHER_KIND: Final = "it is of another kind, or cut off at its beginning"
_PAYLOADS: Final = json.JSONEncoder(
    separators=(",", ":"), allow_nan=False, ensure_ascii=False, check_circular=False
)

AnyArray = NDArray[Any]
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Contents:
    """All of a collection, in slot order; `arrays` are what its backend makes of the rows."""

    name: str
    config: CollectionConfig
    version: int
    ids: list[Id]
    payloads: list[Payload | None]
    arrays: Mapping[str, AnyArray]


def write(path: PathLike, contents: Contents) -> None:
    """Put a whole file at `path`, or leave what was there; on the disk when this returns.

    The file is written beside, synced and renamed over the old one. Only the last step, syncing
    the directory's entry, can fail with the new file in place. A link is followed.

    Raises SaveFailed where the disk does not take the bytes, and OSError for a path that is no
    place for a file.
    """
    target = Path(os.path.realpath(path))
    parts = _encoded(contents)
    manifest = _signed_manifest(contents, parts)
    folders: list[int] = []
    try:
        # In one call of C, so that no exception arrives while only the stack has the descriptor.
        folders.extend(map(os.open, [target.parent], [os.O_RDONLY]))
        _replace(target, folders[0], parts, manifest)
    finally:
        while folders:
            os.close(folders.pop())


def _replace(target: Path, folder: int, parts: dict[str, AnyArray], manifest: str) -> None:
    aside = target.with_name(f".vectorkit-{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        _write_parts(aside, parts, manifest)
        os.replace(aside, target)
        os.fsync(folder)
    finally:
        aside.unlink(missing_ok=True)


def to_bytes(contents: Contents) -> bytes:
    """Return the bytes of the file that `write` makes."""
    parts = _encoded(contents)
    return save(parts, {"vectorkit": _signed_manifest(contents, parts)})


def from_bytes(data: bytes) -> Contents:
    """Return the contents that `to_bytes` encoded, after checking them. Raises as `read` does."""
    return _checked(BytesIO(data), "bytes")


def _signed_manifest(contents: Contents, parts: Mapping[str, AnyArray]) -> str:
    text = json.dumps(_manifest(contents, parts))
    return f"{_checksum(text.encode())} {text}"


def _write_parts(path: Path, parts: dict[str, AnyArray], manifest: str) -> None:
    """Put the parts on the disk, readable by whom any new file is."""
    with open(path, "ab"):  # Not `touch`: an exception in there can leave a descriptor open.
        pass
    mode = path.stat().st_mode
    try:
        save_file(parts, path, {"vectorkit": manifest})
        path.chmod(mode)  # Safetensors makes a temporary file of its own, which is private.
        _sync(path)
    except (SafetensorError, OSError) as error:
        size = sum(part.nbytes for part in parts.values())
        raise SaveFailed(
            "the disk did not take the whole file",
            got=str(error),
            wanted=f"room for {size:,} bytes in {os.fspath(path.parent)!r}",
            remedy="make room or save elsewhere; what was at this path is as it was",
        ) from error


def read(path: PathLike) -> Contents:
    """All of a file, every byte that matters checked.

    Raises CorruptSnapshot, OSError where the file cannot be opened, and InvalidInput for a file
    that a later vectorkit has written in another format.
    """
    with open(path, "rb", buffering=0) as file:
        return _checked(file, repr(os.fspath(path)))


def _checked(file: FileIO | BytesIO, name: str) -> Contents:
    try:
        return _decoded(file)
    except InvalidInput:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise CorruptSnapshot(
            "this file does not hold a whole collection",
            got=f"{name}: {error}",
            wanted="a file as `save` has written it",
            remedy="save it again, or take another copy",
        ) from error


def _encoded(contents: Contents) -> dict[str, AnyArray]:
    ids, payloads = contents.ids, contents.payloads
    parts = {name: np.ascontiguousarray(array) for name, array in contents.arrays.items()}
    if _id_kind(ids) == "str":
        texts = cast("list[str]", ids)
        parts["ids"] = _as_bytes("".join(texts))
        parts["id_lengths"] = np.fromiter(map(len, texts), np.int64, len(texts))
    else:
        parts["ids"] = np.array(ids, np.int64)
    if any(payload is not None for payload in payloads):
        parts["payloads"] = _as_bytes(_PAYLOADS.encode(payloads))
    return parts


def _manifest(contents: Contents, parts: Mapping[str, AnyArray]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "name": contents.name,
        "config": asdict(contents.config),
        "version": contents.version,
        "count": len(contents.ids),
        "ids": _id_kind(contents.ids),
        "arrays": list(contents.arrays),
        "parts": {
            name: {
                "dtype": part.dtype.name,
                "shape": part.shape,
                "checksum": _checksum(_bytes_of(part)),
            }
            for name, part in parts.items()
        },
    }


def _decoded(file: FileIO | BytesIO) -> Contents:
    start, header = _header(file)
    facts = header.pop("__metadata__", {})
    if "vectorkit" not in facts:
        raise ValueError(_OTHER_KIND)
    checksum, _, text = facts["vectorkit"].partition(" ")
    if _checksum(text.encode()) != checksum:
        raise ValueError("its manifest has changed")
    manifest = json.loads(text)
    if manifest["format"] > FORMAT:
        raise _too_new(f"format {manifest['format']}", f"format {FORMAT} or lower")
    config = _config(manifest["config"])
    if max(each["data_offsets"][1] for each in header.values()) != _size(file) - start:
        raise ValueError("its length has changed")
    parts = {
        name: _part(file, name, facts, start, header[name]["data_offsets"])
        for name, facts in manifest["parts"].items()
    }
    count = manifest["count"]
    has_any = "payloads" in parts
    payloads = json.loads(_as_text(parts["payloads"])) if has_any else [None] * count
    arrays = {name: parts[name] for name in manifest["arrays"]}
    ids = _ids(manifest["ids"], parts)
    return Contents(manifest["name"], config, manifest["version"], ids, payloads, arrays)


def _header(file: FileIO | BytesIO) -> tuple[int, dict[str, Any]]:
    """Where the tensors begin, and what safetensors says of them."""
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if start > _size(file):
        raise ValueError(_OTHER_KIND)
    header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(_OTHER_KIND)
    return start, header


def _config(given: dict[str, Any]) -> CollectionConfig:
    unknown = given.keys() - {field.name for field in fields(CollectionConfig)}
    if unknown:
        raise _too_new(f"the options {sorted(unknown)}", "options that this vectorkit has")
    return CollectionConfig(**given)


def _part(
    file: FileIO | BytesIO, name: str, facts: dict[str, Any], start: int, offsets: list[int]
) -> AnyArray:
    """One tensor, read in place; the allocation is what the checked manifest says."""
    part = np.empty(facts["shape"], facts["dtype"])
    first, end = offsets
    if first < 0 or end - first != part.nbytes:
        raise ValueError(f"its {name} have another length")
    file.seek(start + first)
    data, done = _bytes_of(part), 0
    while done < part.nbytes and (count := file.readinto(data[done : done + _READ_BYTES])):
        done += count
    if _checksum(data) != facts["checksum"]:
        raise ValueError(f"its {name} have changed")
    return part


def _ids(kind: str, parts: Mapping[str, AnyArray]) -> list[Id]:
    if kind == "int":
        numbers: list[Id] = parts["ids"].tolist()
        return numbers
    text = _as_text(parts["ids"])
    lengths = parts["id_lengths"]
    ends = np.cumsum(lengths)
    starts = ends - lengths
    return [text[a:b] for a, b in zip(starts.tolist(), ends.tolist(), strict=True)]


def _id_kind(ids: list[Id]) -> str:
    return "int" if ids and isinstance(ids[0], int) else "str"


def _bytes_of(array: AnyArray) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _as_bytes(text: str) -> AnyArray:
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)


def _as_text(data: AnyArray) -> str:
    return str(data.data, "utf-8", "surrogatepass")


def _checksum(data: bytes | memoryview) -> str:
    return xxhash.xxh3_64_hexdigest(data)


def _size(file: FileIO | BytesIO) -> int:
    here = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(here)
    return size


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _too_new(got: str, wanted: str) -> InvalidInput:
    return InvalidInput(
        "a later vectorkit has written this file",
        got=got,
        wanted=wanted,
        remedy="load it with that vectorkit, or upgrade this one",
    )
