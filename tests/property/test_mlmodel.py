"""The MLmodel file, for any content."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.errors import MLmodelError
from modelserving.mlmodel import MLmodel
from modelserving.mlmodel.restricted_yaml import dump, load

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "no",
        "1e5",
        "017",
        "1:30",
        "2024-01-01",
        "<<",
        "=",
        "~",
        "&a",
        "*a",
        "!!x",
        "- a",
        "a: b",
        "#",
        "",
        " ",
        "\n",
        "'",
        "%",
    ]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
keys = texts | st.integers(-(2**70), 2**70)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=15,
)
by_text = st.dictionaries(texts, values, max_size=4)
optional_text = st.none() | texts
mlmodels = st.builds(
    MLmodel,
    flavors=st.dictionaries(
        st.sampled_from(["mine", "yours", "a b"]), st.dictionaries(texts.map("x{}".format), values)
    ),
    metadata=st.none() | st.dictionaries(keys, values, max_size=4),
    run_id=optional_text,
    model_id=optional_text,
    mlflow_version=optional_text,
    utc_time_created=optional_text,
    model_size_bytes=st.none() | st.integers(0, 2**63),
    prompts=st.none() | st.lists(texts).map(tuple),
    resources=st.none() | by_text,
    ours=st.just({})
    | st.dictionaries(texts.map("x{}".format), values).map(lambda ours: {**ours, "format": 1}),
    extra=st.dictionaries(texts.map("x{}".format), values, max_size=3),
)


@given(mlmodels)
def test_as_a_dict_and_back_it_is_equal(mlmodel):
    assert MLmodel.from_dict(mlmodel.to_dict()) == mlmodel


@given(mlmodels)
def test_as_text_and_back_it_is_equal(mlmodel):
    assert MLmodel.from_text(mlmodel.to_text()) == mlmodel


@given(mlmodels)
def test_other_readers_of_yaml_read_the_same(mlmodel):
    assert yaml.safe_load(mlmodel.to_text()) == mlmodel.to_dict()


@given(values)
def test_what_others_wrote_without_tags_and_aliases_is_read_the_same(value):
    try:
        found = load(yaml.safe_dump(value))
    except MLmodelError as error:
        assert "YAML anchor" in str(error) or "YAML alias" in str(error)  # noqa: PT017
        return

    assert found == value


@given(values)
def test_values_survive_writing(value):
    assert load(dump(value)) == value


pieces = st.sampled_from(
    [
        "flavors:",
        "\n",
        "  ",
        "sklearn:",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        "&a",
        "*a",
        "!!str",
        "<<:",
        "a: b",
        ",",
        "---\n",
        "\t",
    ]
)


@settings(max_examples=300)
@given(st.lists(pieces | st.text(max_size=4), max_size=20).map("".join) | st.text())
def test_any_text_is_an_mlmodel_or_an_error_in_one_line(text):
    try:
        MLmodel.from_text(text)
    except MLmodelError as error:
        assert str(error).isprintable()  # noqa: PT017
