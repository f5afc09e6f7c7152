"""``inspect_model``, and the commands ``inspect`` and ``trust``."""

import json
import os
import pickle
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from modelserving import log_model, save_model
from modelserving.cli import commands
from modelserving.errors import DamagedModelError
from modelserving.inspection import inspect_model
from modelserving.trust import policy


class Bomb:
    def __reduce__(self):
        return os.system, ("echo it-ran > it-ran",)


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A model folder whose pickle runs a command, which nobody vouches for."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(Bomb()))
    (folder / "requirements.txt").write_text("scikit-learn==0.1\nnumpy\n")
    (folder / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: model.pkl\n    serialization_format: pickle\n"
    )
    monkeypatch.chdir(tmp_path)
    return folder


def run(*arguments, **options):
    return CliRunner().invoke(commands, [str(each) for each in arguments], **options)


def test_a_refused_model_is_shown_and_nothing_of_it_runs(foreign):
    found = inspect_model(foreign)

    assert (found.flavor, found.tier, found.vouched_by, found.loads) == ("sklearn", "code", None, False)
    assert found.contents == "Python code (model.pkl, pickle)"
    assert {file.path: file.imports for file in found.files}["model.pkl"] == ("posix.system",)
    assert not (foreign.parent / "it-ran").exists()


def test_words_that_begin_like_a_pickle_are_not_taken_for_one(foreign):
    files = {file.path: file for file in inspect_model(foreign).files}

    assert [name for name, file in files.items() if file.imports or not file.complete] == ["model.pkl"]


def test_versions_it_was_made_with_are_compared_with_those_installed(foreign):
    found = inspect_model(foreign)

    assert found.made_with == {"scikit-learn": "0.1"}
    assert [sentence.partition(",")[0] for sentence in found.differs] == [
        "the model was made with scikit-learn 0.1"
    ]


def test_it_says_who_vouches():
    mine = log_model(len, "length", registered_model_name="Length", input_example="four")

    found = inspect_model(mine.model_uri)

    assert (found.vouched_by, found.loads, found.digest) == ("you, on this machine", True, mine.digest)
    assert inspect_model(mine.model_uri, trust="code").vouched_by == "the caller, for this one call"


def test_a_model_that_no_installed_flavor_loads_is_shown_too(foreign):
    (foreign / "MLmodel").write_text("flavors:\n  spark:\n    model_data: sparkml\n")

    found = inspect_model(foreign)

    assert (found.flavor, found.tier, found.flavors) == (None, None, ("spark",))
    assert "no installed flavor named 'spark'" in found.problem


def test_a_model_whose_file_is_missing_is_shown_with_the_problem(foreign):
    (foreign / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: gone.skops\n    serialization_format: skops\n"
    )

    assert "gone.skops" in inspect_model(foreign).problem


def test_a_damaged_copy_of_a_saved_folder_is_not_shown_as_if_it_were_whole(tmp_path):
    save_model(len, tmp_path / "length", input_example="four")
    (tmp_path / "length/requirements.txt").write_text("")

    with pytest.raises(DamagedModelError, match=r"requirements.txt.*by its MLmodel.manifest"):
        inspect_model(tmp_path / "length")


def test_the_dictionary_is_json(foreign):
    text = json.dumps(inspect_model(foreign).to_dict())

    assert json.loads(text)["imports_note"] == "finding nothing proves nothing"


def test_the_command_prints_what_is_inside_and_imports_no_framework(foreign):
    answer = run("inspect", foreign)

    assert answer.exit_code == 0
    for part in (
        "tier",
        "code",
        "posix.system",
        "model.pkl",
        "finding nothing proves nothing",
        "nobody",
        "sha256:",
    ):
        assert part in answer.output
    assert json.loads(run("inspect", foreign, "--json").output)["tier"] == "code"


def test_trust_is_given_by_the_command_shown_and_taken_back(foreign):
    digest = inspect_model(foreign).digest

    added = run("trust", "add", foreign, "--yes")
    listed = json.loads(run("trust", "list", "--json").output)
    removed = run("trust", "remove", foreign)

    assert "posix.system" in added.output
    assert listed == {"digests": {digest: str(foreign)}}
    assert removed.output == f"{digest} is no longer trusted\n"
    assert not policy.is_remembered(digest)


@pytest.mark.parametrize("answer", ["", "n\n", "\n"])
def test_without_a_yes_nothing_is_trusted(answer, foreign):
    outcome = run("trust", "add", foreign, input=answer)

    assert outcome.exit_code == 1
    assert policy.remembered() == {}


def test_a_digest_that_was_never_trusted_is_no_error_to_remove():
    digest = "sha256:" + 64 * "0"

    assert run("trust", "remove", digest).output == f"{digest} was not trusted\n"


def test_a_skops_file_shows_the_types_that_are_not_data(tmp_path):
    skops_io = pytest.importorskip("skops.io")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    folder = tmp_path / "m"
    folder.mkdir()
    skops_io.dump(preprocessing.FunctionTransformer(np.linalg.norm), folder / "model.skops")
    (folder / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: model.skops\n    serialization_format: skops\n"
    )

    found = inspect_model(folder)

    assert found.tier == "code"
    assert any("norm" in name for file in found.files for name in file.imports)
    assert "sklearn" in sys.modules  # this test's own doing
