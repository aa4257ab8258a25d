"""Adapt colours so that they are readable on a light or a dark background."""

from __future__ import annotations

import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rgb = tuple[float, float, float]

CONTRAST_MIN: Final = 3.0
"""The contrast that the Web Content Accessibility Guidelines require of lines and large text."""
_WHITE: Final[Rgb] = (1.0, 1.0, 1.0)
_DARK_BELOW: Final = 0.18
"""White and black have about the same contrast with this luminance."""
_HALVINGS: Final = 20


def luminance(rgb: Rgb) -> float:
    """Return the relative luminance of an sRGB colour, from 0 to 1, as WCAG 2.2 defines it.

    >>> luminance((1.0, 1.0, 1.0))
    1.0
    """
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, as WCAG 2.2 defines it.

    >>> round(contrast((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 6)
    21.0
    """
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def background(ax: Axes) -> Rgb:
    """Return the colour behind axes: axes over figure over white, blended by their alpha."""
    from matplotlib.colors import to_rgba

    under = _WHITE
    for colour in (ax.figure.get_figure(root=True).get_facecolor(), ax.get_facecolor()):
        *rgb, alpha = to_rgba(colour)
        red, green, blue = (alpha * a + (1 - alpha) * b for a, b in zip(rgb, under, strict=True))
        under = red, green, blue
    return under


def is_dark(ax: Axes) -> bool:
    """Return whether white is easier to read than black on these axes."""
    return luminance(background(ax)) < _DARK_BELOW


def readable(colour: str, ax: Axes) -> str:
    """Return a colour of the same hue that has a contrast ratio of at least 3 with these axes.

    A colour with enough contrast is returned unchanged. Any other becomes darker on a light
    background and lighter on a dark one, by the smallest change that suffices. On a dark
    background dark greys are inverted: black becomes white.

    >>> from matplotlib.figure import Figure
    >>> light, dark = Figure().subplots(), Figure(facecolor="black").subplots()
    >>> dark.set_facecolor("black")
    >>> [readable("black", ax) for ax in (light, dark)]
    ['black', '#ffffff']
    >>> [readable("#88CCEE", ax) for ax in (light, dark)]
    ['#209edd', '#88CCEE']
    """
    return readable_on(colour, background(ax))


@lru_cache(maxsize=1_024)
def readable_on(colour: str, behind: Rgb) -> str:
    """Return the result of `readable` for a background of this colour."""
    from matplotlib.colors import to_hex, to_rgb

    rgb, on_dark = to_rgb(colour), luminance(behind) < _DARK_BELOW
    if on_dark and len(set(rgb)) == 1 and rgb[0] < 0.5:
        colour = to_hex((1 - rgb[0],) * 3)
        rgb = to_rgb(colour)
    if contrast(rgb, behind) >= CONTRAST_MIN:
        return colour
    hue, near, saturation = colorsys.rgb_to_hls(*rgb)
    far = 1.0 if on_dark else 0.0
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        # Test the contrast after rounding to 8 bits per channel: matplotlib draws that colour.
        drawn = to_hex(colorsys.hls_to_rgb(hue, middle, saturation))
        if contrast(to_rgb(drawn), behind) >= CONTRAST_MIN:
            far = middle
        else:
            near = middle
    return to_hex(colorsys.hls_to_rgb(hue, far, saturation))
