"""Copies of collections, in this process and as bytes for another one.

A copy is a collection of the same class and options with the same rows, slots, version and digest,
and nothing in common with the first: no write to one is seen in the other. It belongs to no store.
As bytes it is what `save` writes, and where it lay: devices are named by platform and number.
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
"""What every collection has of its own. All other attributes are options, or a subclass's."""


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """A device of another process: its platform and its number among those that it has there."""

    platform: str
    index: int

    def find(self) -> jax.Device:
        """The same device here, or the first of its platform where there are fewer of them."""
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
        """The same mesh here. Raises DeviceNotFound where there are fewer devices."""
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
    """All attributes of a collection that its copy has, too, packed."""
    found = vars(collection).items()
    return {name: packed(each) for name, each in found if name not in _MADE_ANEW}


def from_bytes(kind: type[Any], options: dict[str, Any], data: bytes) -> Any:
    """The collection that a pickle holds."""
    return kind._made(options, files.from_bytes(data))


def packed(value: Any) -> Any:
    """The value, or an address in place of a device or a mesh."""
    if isinstance(value, jax.Device):
        return address(value)
    if isinstance(value, Mesh):
        found = tuple([address(each) for each in value.devices.ravel().tolist()])
        return MeshAddress(found, value.devices.shape, value.axis_names)
    return value


def unpacked(value: Any) -> Any:
    """The value, or what this process has at an address."""
    return value.find() if isinstance(value, DeviceAddress | MeshAddress) else value


def rebuilt(kind: Callable[..., R], *arguments: Any) -> R:
    """What `kind` makes of arguments that were packed."""
    return kind(*map(unpacked, arguments))


def address(device: jax.Device) -> DeviceAddress:
    """How another process finds a device like this one."""
    return DeviceAddress(device.platform, jax.local_devices(backend=device.platform).index(device))
