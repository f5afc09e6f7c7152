"""Model URIs: one text, one meaning."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from modelserving.errors import InvalidURIError
from modelserving.uri import (
    ModelURI,
    check_alias,
    check_artifact_name,
    check_name,
    check_run_id,
    check_version,
)

RUN = "0123456789abcdef0123456789abcdef"

READ = {
    "models:/iris/3": ModelURI("version", name="iris", version=3),
    "models:/iris/2147483647": ModelURI("version", name="iris", version=2147483647),
    "models:/iris/latest": ModelURI("latest", name="iris"),
    "models:/My-Random.Forest_2@champion": ModelURI("alias", name="My-Random.Forest_2", alias="champion"),
    f"runs:/{RUN}/model": ModelURI("run", run_id=RUN, path="model"),
    f"runs:/{RUN}/models/my forest": ModelURI("run", run_id=RUN, path="models/my forest"),
    "model": ModelURI("path", path="model"),
    "./models:/iris/1": ModelURI("path", path="./models:/iris/1"),
    "/srv/a folder/with:colon": ModelURI("path", path="/srv/a folder/with:colon"),
    "../up": ModelURI("path", path="../up"),
    "$(id)": ModelURI("path", path="$(id)"),
    "models/iris/3": ModelURI("path", path="models/iris/3"),
}

FILE_URIS = {
    "file:///srv/iris": "/srv/iris",
    "file:/srv/iris": "/srv/iris",
    "file://localhost/srv/iris": "/srv/iris",
    "file:///srv/a%20b": "/srv/a b",
    "file:///srv/100%25": "/srv/100%",
}

REFUSED = [
    # more or less than name and version
    *(
        "models:/a/1/2",
        "models:/a",
        "models:a",
        "models://a/1",
        "models:///a/1",
        "MODELS:/a/1",
        "Models:/a/1",
    ),
    *(
        "models:",
        "models:/",
        "models://",
        "models:/a/",
        "models:/a/1/",
        "models:/@x",
        "models:/a@",
        "models:/m-1",
    ),
    *("models:/Reg/Banana", "models:/Reg/Production", "models:/Reg/staging", "models:/Reg/LATEST"),
    *(
        "models://x/Reg/1",
        "models:Reg/1",
        "models:/Reg/1/2/3",
        "models:/Reg/1/MLmodel",
        "models:/Reg@b/MLmodel",
    ),
    # aliases
    *("models:/a@champion/1", "models:/@", "models:/a@b@c", "models:/a@Champion", "models:/a@1"),
    *(
        "models:/a@v1",
        "models:/a@latest",
        "models:/a@champion\n",
        "models:/a@" + "a" * 64,
        "models:/a@ch\u0430mpion",
    ),
    # names
    *("models:/a%2Fb/1", "models:/a#x", "models:/a?x", "models:/a#x/1", "models:/a?x/1", "models:/a b/1"),
    *("models:/../1", "models:/a..b/1", "models:/.a/1", "models:/a./1", "models:/-a/1", "models:/\u0430/1"),
    *("models:/a\\b/1", "models:/a:b/1", "models:/" + "a" * 129 + "/1", "models:/a\x00/1", "models:/a;b/1"),
    # versions
    *("models:/a/3 ", "models:/a/+3", "models:/a/03", "models:/a/٣", "models:/a/3.0", "models:/a/1_0"),
    *("models:/a/99999999999999999999", "models:/a/2147483648", "models:/a/0", "models:/a/-1", "models:/a/²"),
    *("models:/a/3\n", "models:/a/\uff13", "models:/a/0x1", "models:/a/1e0", "models:/a/ 3"),
    # runs
    *(
        "runs:/../x/model",
        "runs:/id",
        "runs:/id/../../x",
        f"runs:/{RUN}/..%2f",
        f"runs:/{RUN}",
        f"runs:/{RUN}/",
    ),
    *(f"runs:/{RUN}/../x", f"runs:/{RUN}/a/../b", f"runs:/{RUN}/.", f"runs:/{RUN}//a", f"runs:/{RUN}/a/"),
    *(f"runs:/{RUN.upper()}/a", f"runs://{RUN}/a", f"runs:{RUN}/a", f"runs:/{RUN}/a\n", f"runs:/{RUN}/a#b"),
    *(
        f"runs:/{RUN}/a\\b",
        f"runs:/{RUN}/a:b",
        f"runs:/{RUN}/a ",
        f"runs:/{RUN}/" + "a" * 1025,
        f"RUNS:/{RUN}/a",
    ),
    # other schemes, and paths that nobody means
    *(
        "s3://bucket/model",
        "http://127.0.0.1/model",
        "https:/x",
        "dbfs:/x",
        "mlflow-artifacts:/x",
        "C:\\model",
    ),
    *(
        "",
        " ",
        "/srv/iris\n",
        " /srv/iris",
        "/srv/\x00",
        "/srv/\x1b[2J",
        " models:/a/1",
        "a" * 4097,
        "/\ud800",
    ),
    *(
        "file://host/srv/iris",
        "file:srv/iris",
        "file:",
        "file://",
        "file:///a?b",
        "file:///a#b",
        "file:///a%2fb",
    ),
    *("file:///a%", "file:///a%zz", "file:///%ff", "file:///a%00", "file:////a", "FILE:///a", "file:///a%0a"),
]


@pytest.mark.parametrize(("text", "uri"), READ.items())
def test_is_read(text, uri):
    assert ModelURI.parse(text) == uri


@pytest.mark.parametrize("text", READ)
def test_is_written_as_it_was_read(text):
    assert str(ModelURI.parse(text)) == text


@pytest.mark.parametrize(("text", "path"), FILE_URIS.items())
def test_a_file_uri_is_the_path_it_names(text, path):
    assert ModelURI.parse(text) == ModelURI("path", path=path)


@pytest.mark.parametrize("text", REFUSED, ids=ascii)
def test_is_refused_in_one_line(text):
    with pytest.raises(InvalidURIError, match="is not a model URI") as caught:
        ModelURI.parse(text)

    assert caught.value.uri == text
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("models:/iris", "say which version: models:/iris/latest"),
        ("models:/iris/", "say which version: models:/iris/latest"),
        ("models:/iris/Latest", "models:/iris/latest"),
        ("models:/iris/Production", "models:/iris@production"),
        ("models:/m-" + RUN, "runs:/RUN_ID/NAME"),
        ("models:/iris@champion/1", "an alias or a version"),
        ("models:/my iris/1", "no spaces"),
        (f"runs:/{RUN}", f"runs:/{RUN}/NAME"),
        ("s3:model", "./s3:"),
        ("file:///srv/iris#1", "plain path"),
    ],
)
def test_the_refusal_says_what_to_write(text, help_):
    with pytest.raises(InvalidURIError) as caught:
        ModelURI.parse(text)

    assert help_ in caught.value.reason


@pytest.mark.parametrize("path", ["iris", "/srv/iris", "models:/iris/1", "C:/iris"])
def test_a_path_object_is_always_a_folder(path):
    uri = ModelURI.parse(Path(path))

    assert uri.kind == "path"
    assert Path(uri.path) == Path("./" + path if ":" in path else path)


@pytest.mark.parametrize("value", [None, 3, b"models:/iris/1", ["iris"]])
def test_what_is_not_text_is_refused(value):
    with pytest.raises(InvalidURIError, match="not text"):
        ModelURI.parse(value)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "version", "name": "iris"},
        {"kind": "version", "name": "iris", "version": 1, "alias": "a"},
        {"kind": "version", "name": "iris", "version": True},
        {"kind": "version", "name": "iris", "version": 0},
        {"kind": "version", "name": "iris", "version": "1"},
        {"kind": "latest"},
        {"kind": "run", "run_id": RUN},
        {"kind": "run", "run_id": RUN, "path": "../x"},
        {"kind": "path", "path": "models:/iris/1"},
        {"kind": "path", "path": ""},
        {"kind": "stage", "name": "iris"},
        {"kind": "alias", "name": "a/b", "alias": "c"},
    ],
)
def test_cannot_be_made_from_fields_that_do_not_fit(fields):
    with pytest.raises(InvalidURIError):
        ModelURI(**fields)


def test_errors_and_uris_survive_a_pickle():
    error = InvalidURIError("x y", "no", "a model name")
    uri = ModelURI.parse("models:/iris@champion")

    assert str(pickle.loads(pickle.dumps(error))) == "'x y' is not a model name: no"
    assert pickle.loads(pickle.dumps(uri)) == uri


@pytest.mark.parametrize("check", [check_name, check_artifact_name])
def test_names(check):
    assert [check(name) for name in ("a", "iris-2.forest", "a" * 128)] == ["a", "iris-2.forest", "a" * 128]
    for name in ("", "a b", "a/b", "..", "a..b", "_a", "a\n", "a" * 129, "é", None, 3):
        with pytest.raises(InvalidURIError, match=r"is not an? (model|artifact) name"):
            check(name)


def test_aliases():
    assert check_alias("champion_2-b") == "champion_2-b"
    assert check_alias("v") == "v"
    for alias in ("champion\n", "Champion", "1", "v1", "v007", "latest", "a" * 300, "", "@", None):
        with pytest.raises(InvalidURIError, match="is not an alias"):
            check_alias(alias)


def test_versions():
    assert check_version(1) == 1
    for version in (0, -1, 2**31, True, 1.0, "1", None, 10**5000):
        with pytest.raises(InvalidURIError, match="is not a version"):
            check_version(version)


def test_run_ids():
    assert check_run_id(RUN) == RUN
    for run_id in ("", RUN[:-1], RUN + "0", RUN.upper(), RUN + "\n", None):
        with pytest.raises(InvalidURIError, match="is not a run id"):
            check_run_id(run_id)
