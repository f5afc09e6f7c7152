"""What is written is read back as it was, and whatever text is read gives a signature or a SignatureError."""

from __future__ import annotations

import contextlib
import json

from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelserving.errors import SignatureError
from modelserving.signature.schema import ColumnSpec, ParamSpec, Schema, Signature, TensorSpec
from modelserving.signature.types import AnyType, Array, DataType, Map, Object, Property

unhurried = settings(deadline=None)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts | st.integers(-(2**63), 2**63 - 1)
scalar_types = st.sampled_from(DataType)


def objects(inner):
    properties = st.builds(Property, texts, inner, st.booleans())
    return st.lists(properties, min_size=1, max_size=4, unique_by=lambda each: each.name).map(
        lambda several: Object(tuple(several))
    )


types = st.recursive(
    scalar_types | st.just(AnyType()),
    lambda inner: st.builds(Array, inner) | st.builds(Map, inner) | objects(inner),
    max_leaves=8,
)
dtypes = st.sampled_from(
    ["bool", "int8", "uint64", "float16", "float64", "complex64", "str", "object", "datetime64[ns]"]
)
shapes = st.lists(st.integers(-1, 2**63 - 1), max_size=5).map(tuple)


def named(kind, *parts):
    specs = st.lists(
        st.builds(kind, *parts, names), min_size=1, max_size=5, unique_by=lambda spec: str(spec.name)
    )
    return specs.map(lambda several: Schema(tuple(several)))


optional_columns = st.lists(
    st.builds(ColumnSpec, types, names, st.booleans()),
    min_size=1,
    max_size=5,
    unique_by=lambda spec: str(spec.name),
).map(lambda specs: Schema(tuple(specs)))
unnamed_columns = st.lists(st.builds(ColumnSpec, types), min_size=1, max_size=3).map(
    lambda specs: Schema(tuple(specs))
)
unnamed_tensors = st.builds(TensorSpec, dtypes, shapes).map(lambda spec: Schema((spec,)))
schemas = optional_columns | unnamed_columns | unnamed_tensors | named(TensorSpec, dtypes, shapes)

values = {
    DataType.boolean: st.booleans(),
    DataType.integer: st.integers(-(2**31), 2**31 - 1),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.float: st.floats(width=32, allow_nan=False),
    DataType.double: st.floats(allow_nan=False) | st.integers(-(2**53), 2**53),
    DataType.string: st.text(max_size=8),
    DataType.datetime: st.datetimes() | st.dates(),
}


@st.composite
def params(draw):
    type_ = draw(st.sampled_from(list(values)))
    if draw(st.booleans()):
        return ParamSpec(draw(texts), type_, draw(st.lists(values[type_], max_size=3)), (-1,))
    return ParamSpec(draw(texts), type_, draw(values[type_] | st.none()))


signatures = st.builds(
    Signature,
    schemas,
    schemas | st.none(),
    st.lists(params(), max_size=3, unique_by=lambda spec: spec.name).map(tuple),
)

KEYS = [
    "type",
    "name",
    "required",
    "optional",
    "items",
    "properties",
    "values",
    "tensor-spec",
    "dtype",
    "shape",
]
WORDS = [
    "default",
    "array",
    "object",
    "map",
    "any",
    "tensor",
    "long",
    "datetime",
    "float32",
    "sparkml_vector",
]
known_words = st.sampled_from(KEYS + WORDS)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | known_words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(known_words | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=20,
)
almost_specs = st.lists(st.dictionaries(known_words, json_values, max_size=5), max_size=3)


@unhurried
@given(signatures)
def test_a_signature_is_read_back_as_it_was_written(signature):
    assert Signature.from_dict(signature.to_dict()) == signature


@unhurried
@given(signatures)
def test_a_signature_that_was_read_is_written_as_it_was(signature):
    written = signature.to_dict()

    assert Signature.from_dict(written).to_dict() == written


@unhurried
@given(signatures)
def test_the_text_is_what_the_json_module_writes_by_default(signature):
    for text in signature.to_dict().values():
        assert text is None or json.dumps(json.loads(text)) == text
        assert text is None or text.isascii()


@unhurried
@given(
    st.text() | json_values.map(json.dumps) | almost_specs.map(json.dumps),
    st.sampled_from(["inputs", "outputs", "params"]),
)
@example("[" * 100_000, "inputs")
@example('[{"type": "long", "name": 1e999}]', "inputs")
@example('[{"type": "array", "items": ' * 500 + "}]" * 500, "outputs")
@example('[{"name": "p", "type": "datetime", "default": "0001-01-01T00:00:00+23:59"}]', "params")
@example('[{"name": "p", "type": "double", "default": NaN}]', "params")
@example("[" + "9" * 10_000 + "]", "params")
def test_any_text_gives_a_signature_or_a_signature_error(text, key):
    message, signature = "", None
    try:
        signature = Signature.from_dict({key: text})
    except SignatureError as error:
        message = str(error)

    assert "\n" not in message
    assert len(message) < 1000
    assert signature is None or Signature.from_dict(signature.to_dict()).to_dict() == signature.to_dict()


@unhurried
@given(signatures, st.data())
def test_a_signature_with_a_changed_character_is_read_or_refused(signature, data):
    text = signature.inputs.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from('[]{}",:0-nt\\'))

    with contextlib.suppress(SignatureError):
        Signature.from_dict({"inputs": text[:at] + other + text[at + 1 :]})
