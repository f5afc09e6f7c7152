import hashlib

from hypothesis import given
from hypothesis import strategies as st

from modelserving.errors import DamagedModelError
from modelserving.trust.manifest import Entry, Manifest

digests = st.binary(max_size=8).map(lambda data: hashlib.sha256(data).hexdigest())
parts = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/"), min_size=1, max_size=8
)
paths = st.lists(parts.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3).map("/".join)
entries = st.builds(Entry, paths, st.integers(0, 2**63), digests)
manifests = st.lists(entries, max_size=6, unique_by=lambda entry: entry.path).map(tuple).map(Manifest)


@given(manifests)
def test_a_manifest_survives_its_canonical_form(manifest):
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


@given(manifests, st.randoms(use_true_random=False))
def test_the_order_of_the_files_does_not_matter(manifest, random):
    shuffled = list(manifest.entries)
    random.shuffle(shuffled)

    assert Manifest(tuple(shuffled)).digest == manifest.digest


@given(manifests, manifests)
def test_two_manifests_have_one_digest_only_if_they_are_equal(one, other):
    assert (one.digest == other.digest) == (one == other)


@given(manifests, manifests)
def test_the_check_passes_only_for_an_equal_manifest(one, other):
    try:
        one.check(other)
    except DamagedModelError:
        assert one != other
    else:
        assert one == other


@given(st.binary(max_size=200))
def test_bytes_are_a_manifest_in_its_canonical_form_or_are_refused(data):
    try:
        manifest = Manifest.from_bytes(data)
    except DamagedModelError:
        return
    assert manifest.to_bytes() == data
