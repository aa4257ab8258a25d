"""WordNet's definitions are read from its own format, each text once."""

import pytest

from vectorkit.datasets.wordnet import Gloss, read_glosses
from vectorkit.draws import draw

LEXNAMES = ["00\tadj.all\t3", "01\tadv.all\t4", "02\tnoun.animal\t1", "03\tverb.stative\t2"]
LICENCE = "  1 This software and database is being provided to you | as it is"
FILES = {
    "lexnames": LEXNAMES,
    "data.noun": [
        LICENCE,
        "02084071 02 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 001 @ 02083346 n 0000 | "
        'a member of the genus Canis; occurs in many breeds; "the dog barked"; "a dog"  ',
        "02121620 02 n 01 cat 1 000 | feline mammal  ",
        "02121999 02 n 01 puss 0 000 | feline mammal  ",
    ],
    "data.verb": ["02604760 03 v 0b " + "be 0 " * 11 + "000 01 + 02 00 | have being  "],
    "data.adj": [
        '00014358 00 s 02 abounding 0 galore(ip) 0 001 & 00013887 a 0000 | in abundance; "x"  ',
        "00014490 00 a 01 abstract(a) 0 000 | feline mammal  ",
    ],
    "data.adv": ["00001740 01 r 01 a_cappella 0 000 | without music  "],
}


@pytest.fixture
def folder(tmp_path):
    for name, lines in FILES.items():
        (tmp_path / name).write_bytes("\r\n".join([*lines, ""]).encode())
    return tmp_path


@pytest.fixture
def glosses(folder):
    return {gloss.id: gloss for gloss in read_glosses(folder)}


def test_a_definition_ends_where_its_examples_begin(glosses):
    assert glosses["02084071-n"] == Gloss(
        id="02084071-n",
        text="a member of the genus Canis; occurs in many breeds",
        words=("dog", "domestic dog", "Canis familiaris"),
        part_of_speech="noun",
        lexname="noun.animal",
    )


def test_an_adjective_comes_without_the_marker_of_its_place(glosses):
    assert glosses["00014358-a"].words == ("abounding", "galore")


def test_words_are_counted_in_hexadecimal(glosses):
    assert glosses["02604760-v"].words == ("be",) * 11


def test_a_text_comes_once_with_the_first_sense_that_has_it(glosses):
    assert [id for id, gloss in glosses.items() if gloss.text == "feline mammal"] == ["02121620-n"]


def test_parts_of_speech_and_lexnames_are_those_of_the_files(glosses):
    found = {gloss.words[0]: (gloss.part_of_speech, gloss.lexname) for gloss in glosses.values()}
    assert found == {
        "dog": ("noun", "noun.animal"),
        "cat": ("noun", "noun.animal"),
        "be": ("verb", "verb.stative"),
        "abounding": ("adjective", "adj.all"),
        "a cappella": ("adverb", "adv.all"),
    }


def test_senses_come_in_one_mixed_order(folder):
    adverbs = [f"{row:08} 01 r 01 word{row} 0 000 | meaning {row}  " for row in range(8)]
    for name in ("data.noun", "data.verb", "data.adj"):
        (folder / name).write_text("")
    (folder / "data.adv").write_text("\n".join(adverbs))
    drawn = sorted(range(8), key=lambda row: draw(0, row))
    assert [gloss.words[0] for gloss in read_glosses(folder)] == [f"word{row}" for row in drawn]
    assert drawn != sorted(drawn)
