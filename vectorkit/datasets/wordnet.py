"""WordNet's glosses: what 116,697 senses of English mean, in one phrase each.

Princeton WordNet 3.0 (Fellbaum, 1998), in the format of its manual page wndb(5WN).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from vectorkit.draws import address, draw_block

PARTS_OF_SPEECH: Final = {"n": "noun", "v": "verb", "a": "adjective", "r": "adverb"}
_FILES: Final = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "r": "data.adv"}
_EXAMPLES: Final = '; "'  # A gloss is a definition, then examples in quotation marks.
_MARKER: Final = re.compile(r"\((a|p|ip)\)$")  # Where an adjective may stand: "galore(ip)".


class Gloss(NamedTuple):
    """The definition of one sense: `id` is its place in WordNet, such as "02084071-n"."""

    id: str
    text: str
    words: tuple[str, ...]
    part_of_speech: str
    lexname: str


def read_glosses(folder: Path) -> tuple[Gloss, ...]:
    """All definitions of a WordNet folder, each text once, in one fixed mixed order.

    Mixed, so that the first few are a sample of the whole: WordNet itself sorts by subject.
    """
    distinct: dict[str, Gloss] = {}
    for gloss in _parse(folder):
        distinct.setdefault(gloss.text, gloss)
    glosses = tuple(distinct.values())
    order = np.argsort(draw_block(address(0), len(glosses)), kind="stable")
    return tuple(glosses[index] for index in order)


def _parse(folder: Path) -> Iterator[Gloss]:
    lexnames = [line.split()[1] for line in _lines(folder / "lexnames")]
    for letter, file in _FILES.items():
        for line in _lines(folder / file):
            if line.startswith(" "):  # The licence stands above the data.
                continue
            entry, _, gloss = line.partition(" | ")
            offset, lexname, _, count, *rest = entry.split(" ")
            words = rest[: 2 * int(count, 16) : 2]
            yield Gloss(
                id=f"{offset}-{letter}",
                text=gloss.strip().partition(_EXAMPLES)[0],
                words=tuple(_MARKER.sub("", word).replace("_", " ") for word in words),
                part_of_speech=PARTS_OF_SPEECH[letter],
                lexname=lexnames[int(lexname)],
            )


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()
