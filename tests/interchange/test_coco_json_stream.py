"""Rows of a JSON object, in pieces of any size."""

import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locstudio.domain.errors import BadInput
from locstudio.interchange import json_stream
from locstudio.interchange.json_stream import DuplicateKey, JsonRows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def rows_of(path, *wanted):
    return {name: list(rows) for name, rows in JsonRows(path).members(frozenset(wanted))}


@settings(max_examples=150, deadline=None)
@given(
    document=st.fixed_dictionaries({"a": st.lists(JSON, max_size=5), "skipped": JSON, "b": st.lists(JSON, max_size=3)}),
    chunk=st.integers(1, 40),
    is_ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_that_rows_are_the_same_whatever_the_pieces(tmp_path_factory, document, chunk, is_ascii, indent):
    path = tmp_path_factory.mktemp("json") / "a.json"
    text = json.dumps(document, ensure_ascii=is_ascii, indent=indent)
    path.write_bytes(text.encode("utf-8", "surrogatepass" if is_ascii else "replace"))
    whole = json.loads(path.read_text("utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        assert rows_of(path, "a", "b") == {"a": whole["a"], "b": whole["b"]}


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(alphabet='{}[]":,0123 \n\\untrfalse-.eNaI', max_size=200).map(str.encode))
def test_that_any_bytes_are_rows_or_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("json") / "a.json"
    path.write_bytes(b'{"a":[' + data)
    try:
        rows_of(path, "a")
    except BadInput as error:
        assert str(error).startswith("a.json is n")  # noqa: PT017 - either outcome is right


def test_that_progress_counts_bytes(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2, 3]}')
    seen = []
    for _, rows in JsonRows(path, lambda done, total: seen.append((done, total))).members(frozenset("a")):
        list(rows)
    assert seen[-1] == (16, 16)


def test_that_a_row_with_a_key_twice_is_given_as_such(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"x": 1}, {"x": 1, "x": 2}, {"y": {"z": 1, "z": 1}}, 4]}')
    first, second, third, fourth = rows_of(path, "a")["a"]
    assert (first, fourth) == ({"x": 1}, 4)
    assert [str(error) for error in (second, third)] == [
        "the key 'x' stands there twice",
        "the key 'z' stands there twice",
    ]
    assert isinstance(second, DuplicateKey)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.json is empty"),
        (b"[]", "a.json is a JSON array"),
        (b"hello", "a.json is no JSON;"),
        (b'{"a": [1, 2', "the file ends in the middle"),
        (b'{"a": [{"x": "' + b"y" * 100, "unterminated string"),
        (b'{"a": [1 2]}', "',' or ']' is missing"),
        (b'{"a" [1]}', "':' is missing"),
        (b"{a: 1}", "a name in double quotes is missing"),
        (b'{"a": [tru]}', "expecting value"),
        (b'{"a": ["\xff\xfe"]}', "not UTF-8 text near byte"),
        ("{}".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        (b'{"a": [' + b"9" * 5000 + b"]}", "digits"),
        (b'{"a": [' + b"[" * 100_000, "nested too deeply"),
        (b'{"b": ' + b'{"x":' * 100_000, "nested too deeply"),
    ],
)
def test_that_broken_json_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=sentence.replace("[", r"\[").replace("]", r"\]")):
        rows_of(path, "a")


def test_that_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match=r"nowhere\.json cannot be read: no such file"):
        rows_of(tmp_path / "nowhere.json", "a")


def test_that_a_value_without_end_is_refused_before_it_fills_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_ROW_CHARACTERS", 1000)
    monkeypatch.setattr(json_stream, "_CHUNK", 100)
    path = tmp_path / "a.json"
    path.write_text('{"a": ["' + "x" * 5000 + '"]}')
    with pytest.raises(BadInput, match="one value is longer"):
        rows_of(path, "a")


def test_row_55_a_large_file_is_read_in_the_memory_of_a_few_pieces(tmp_path):
    path = tmp_path / "a.json"
    row = json.dumps({"id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[float(n) for n in range(100)]]})
    path.write_text('{"a": [' + ",".join([row] * 12_000) + "]}")
    assert path.stat().st_size > 7e6
    tracemalloc.start()
    try:
        for _, rows in JsonRows(path).members(frozenset("a")):
            assert sum(1 for _ in rows) == 12_000
        assert tracemalloc.get_traced_memory()[1] < 6e6
    finally:
        tracemalloc.stop()
