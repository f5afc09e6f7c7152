"""C02: a name, version, alias or URI means one thing, or nothing."""

import pytest

from modelserving import load_model, log_model, open_store
from modelserving.errors import InvalidURIError, ModelServingError, NameTakenError, StoreError

NAMES = [
    *(
        "",
        " ",
        ".",
        "..",
        "a/b",
        "a\\b",
        "a:b",
        "a@b",
        "a b",
        " a",
        "a ",
        "a\n",
        "a\x00",
        "a%2fb",
        "%61",
        "a?x=1",
    ),
    *(
        "a#b",
        "-a",
        "a-",
        ".a",
        "a.",
        "a..b",
        "\u0430",
        "\uff41",
        "e\u0301",
        "\u202ea",
        "a" * 129,
        "mod\u00e8le",
        "~",
    ),
]
VERSIONS = [
    *("0", "-1", "+3", " 3", "3 ", "03", "1_0", "3.0", "0x3", "\u0661", "\uff13", "\u00b2", "3\n"),
    "1e1", "", "True", str(2**31), "9" * 5000,
]  # fmt: skip
ALIASES = ["latest", "v3", "Champion", "ch\u0430mpion", "a b", "", "1st", "-a", "a/b", "a" * 64, "champion\n"]


def one(rows):
    return [1 for _ in rows]


@pytest.fixture
def iris():
    return log_model(one, "iris", registered_model_name="iris", input_example=[[1.0]])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_could_be_read_in_two_ways_is_neither_made_nor_looked_up(name):
    with pytest.raises(ModelServingError):
        log_model(one, "iris", registered_model_name=name) if name else load_model("models://1")
    with pytest.raises((InvalidURIError, StoreError)):
        load_model(f"models:/{name}/1")
    assert list(open_store().models()) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_version_has_one_spelling(version, iris):
    with pytest.raises((InvalidURIError, StoreError)):
        load_model(f"models:/iris/{version}")


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_cannot_be_taken_for_a_version_or_for_another_alias(alias, iris):
    with pytest.raises(InvalidURIError):
        open_store().set_alias("iris", alias, 1)
    with pytest.raises((InvalidURIError, StoreError)):
        load_model(f"models:/iris@{alias}")


@pytest.mark.parametrize("other", ["Iris", "IRIS", "iRis"])
def test_a_name_that_differs_in_case_only_is_taken_and_finds_nothing(other, iris):
    with pytest.raises(NameTakenError):
        log_model(one, "iris", registered_model_name=other)
    with pytest.raises(StoreError):
        load_model(f"models:/{other}/1")


@pytest.mark.parametrize(
    "uri",
    [
        *(
            "models:/iris/1/",
            "models:/iris//1",
            "models:/iris/1?x",
            "models:/iris/1#x",
            "models:/iris%2f1",
            "models:iris/1",
        ),
        *(
            "models://host/iris/1",
            "models:///iris/1",
            "MODELS:/iris/1",
            " models:/iris/1",
            "models:/iris/1 ",
            "models:/iris",
        ),
        *(
            "models:/iris@champion/1",
            "models:/iris/latest/",
            "models:/iris/Latest",
            "runs:/iris",
            "runs:/../iris",
        ),
        *("http://host/iris", "s3://bucket/iris", "ftp:/x", "models:/../iris/1", "models:/iris/../iris/1"),
    ],
)
def test_a_uri_that_is_almost_one_is_refused(uri, iris):
    with pytest.raises((InvalidURIError, StoreError)):
        load_model(uri)
