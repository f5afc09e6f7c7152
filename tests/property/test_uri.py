"""Model URIs, for any text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelserving.errors import InvalidURIError
from modelserving.uri import ModelURI

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,30}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: ".." not in name
)
aliases = st.from_regex(r"[a-uw-z][a-z0-9_-]{0,30}", fullmatch=True).filter(lambda alias: alias != "latest")
run_ids = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
segments = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9 ._-]{0,20}[A-Za-z0-9_-])?", fullmatch=True)

uris = st.one_of(
    st.builds(
        lambda name, version: ModelURI("version", name=name, version=version),
        names,
        st.integers(1, 2**31 - 1),
    ),
    st.builds(lambda name, alias: ModelURI("alias", name=name, alias=alias), names, aliases),
    st.builds(lambda name: ModelURI("latest", name=name), names),
    st.builds(
        lambda run, parts: ModelURI("run", run_id=run, path="/".join(parts)),
        run_ids,
        st.lists(segments, min_size=1, max_size=3),
    ),
    st.builds(lambda parts: ModelURI("path", path="/" + "/".join(parts)), st.lists(segments, max_size=3)),
)
pieces = st.sampled_from(
    [
        "models:",
        "runs:",
        "file:",
        "/",
        "//",
        "@",
        "latest",
        "iris",
        "3",
        "0" * 32,
        "..",
        "%2f",
        "#",
        "?",
        " ",
        "\n",
        ":",
    ]
)
texts = st.one_of(st.text(), st.lists(pieces | st.text(max_size=3), max_size=8).map("".join))


@given(uris)
def test_parsing_what_was_written_gives_an_equal_uri(uri):
    assert ModelURI.parse(str(uri)) == uri


@given(texts)
def test_any_text_is_a_uri_with_that_one_spelling_or_refused(text):
    try:
        uri = ModelURI.parse(text)
    except InvalidURIError as error:
        assert str(error).isprintable()  # noqa: PT017
        return

    assert ModelURI.parse(str(uri)) == uri
    assert text.startswith("file:") or str(uri) == text


@given(uris, uris)
def test_two_uris_never_share_a_spelling(one, other):
    assert (str(one) == str(other)) == (one == other)
