"""Copy collections, in this process or as bytes for another process.

A copy has the class, options, rows, slots, version and digest of the original and shares no state
with it: a write to one is not seen in the other. It belongs to no store. Its bytes are those that
`save` writes, and the address of its devices: their platforms and numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import jax
import numpy as np
from jax.sharding import Mesh

from vectorkit.collections import files
from vectorkit.errors import DeviceNotFound

R = TypeVar("R")

_MADE_ANEW: Final = {"_backend", "_storage", "_guard", "_commit", "_incarnation"}
"""Attributes that a copy does not share. All others are options, or added by a subclass."""


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """A device of another process: its platform, and its number among the devices there."""

    platform: str
    index: int

    def find(self) -> jax.Device:
        """Return the device of that number here, or the first of its platform if there is none."""
        try:
            found = jax.local_devices(backend=self.platform)
        except RuntimeError as error:
            here = jax.local_devices()
            raise DeviceNotFound(
                "JAX sees no such device as this collection was on",
                got=", ".join(map(str, here)),
                wanted=f"a device of the platform {self.platform!r}",
                remedy="save it to a file there, and here vk.load(path, device=...)",
                devices=[str(each) for each in here],
            ) from error
        return found[self.index if self.index < len(found) else 0]


@dataclass(frozen=True, slots=True)
class MeshAddress:
    """A mesh by the addresses of its devices."""

    devices: tuple[DeviceAddress, ...]
    shape: tuple[int, ...]
    axis_names: tuple[Any, ...]

    def find(self) -> Mesh:
        """Return the same mesh here. Raises DeviceNotFound if this process has fewer devices."""
        devices = [each.find() for each in self.devices]
        if len(set(devices)) != len(devices):
            raise DeviceNotFound(
                "JAX sees too few devices for the mesh of this collection",
                got=f"{len(set(devices))} devices",
                wanted=f"{len(devices)} devices",
                remedy="send c.to_frame(), and make a collection of it by from_frame here",
                devices=[str(each) for each in jax.local_devices()],
            )
        return Mesh(np.array(devices).reshape(self.shape), self.axis_names)


def options_of(collection: object) -> dict[str, Any]:
    """Return the attributes that a copy of the collection gets, with devices as addresses."""
    found = vars(collection).items()
    return {name: packed(each) for name, each in found if name not in _MADE_ANEW}


def from_bytes(kind: type[Any], options: dict[str, Any], data: bytes) -> Any:
    """Return the collection whose class, options and bytes a pickle holds."""
    return kind._made(options, files.from_bytes(data))


def packed(value: Any) -> Any:
    """Return the value; for a device or a mesh, its address."""
    if isinstance(value, jax.Device):
        return address(value)
    if isinstance(value, Mesh):
        found = tuple([address(each) for each in value.devices.ravel().tolist()])
        return MeshAddress(found, value.devices.shape, value.axis_names)
    return value


def unpacked(value: Any) -> Any:
    """Return the value; for an address, the device or mesh of this process."""
    return value.find() if isinstance(value, DeviceAddress | MeshAddress) else value


def rebuilt(kind: Callable[..., R], *arguments: Any) -> R:
    """Call `kind` with arguments that were packed."""
    return kind(*map(unpacked, arguments))


def address(device: jax.Device) -> DeviceAddress:
    """Return the address by which another process finds a device like this one."""
    return DeviceAddress(device.platform, jax.local_devices(backend=device.platform).index(device))
