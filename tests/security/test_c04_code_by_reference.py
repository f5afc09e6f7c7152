"""C04: nothing in a model says yes for itself, and nothing of it is imported before somebody else does."""

import sys

import pytest

from modelserving.errors import UntrustedModelError
from modelserving.trust import policy
from modelserving.trust.code import code_folder, load_module_file

CLAIMS = {
    "MLmodel": "flavors:\n  python_function:\n    loader_module: evil_loader\n    code: code\ntrust: code\n",
    "trust.toml": "digest = '*'\n",
    ".modelserving/trust": "sha256:*\n",
    "manifest.json": '{"origin": "local", "trusted": true}\n',
    "model.sig": "trusted\n",
    "modelserving/trust/" + "0" * 64: "",
    "code/sitecustomize.py": "raise SystemExit\n",
    "code/json.py": "raise SystemExit\n",
    "python_env.yaml": "dependencies: ['x; rm -rf /']\n",
    "requirements.txt": "-e .\n--index-url http://evil\n",
}


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def write(folder, claims):
    for path, text in claims.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_model_cannot_vouch_for_itself(claim, tmp_path):
    verified = policy.open_folder(write(tmp_path / "model", {claim: CLAIMS[claim]}))

    with pytest.raises(UntrustedModelError):
        policy.grant(verified, "code", model="m", reason="Python code")


def test_a_store_cannot_vouch_for_itself(tmp_path):
    folder = write(tmp_path / "store" / "trees" / "model", CLAIMS)
    verified = policy.open_folder(folder)

    with pytest.raises(UntrustedModelError):
        policy.grant(verified, "code", model="m", reason="Python code", store=str(tmp_path / "store"))


def test_a_state_folder_inside_the_model_does_not_count(tmp_path, monkeypatch):
    folder = write(tmp_path / "model", CLAIMS)
    digest = policy.open_folder(folder).digest
    write(folder, {f"modelserving/trust/{digest.removeprefix('sha256:')}": ""})
    verified = policy.open_folder(folder)

    with pytest.raises(UntrustedModelError):
        policy.grant(verified, "code", model="m", reason="Python code")


@pytest.mark.parametrize("tier", ["data", "native"])
def test_code_of_a_model_that_loads_as_data_is_not_imported(tier, tmp_path):
    folder = write(tmp_path / "model", {"code/evil_helper.py": "raise SystemExit\n"})
    grant = policy.grant(policy.open_folder(folder), tier, model="m", reason="")
    before = sys.path.copy(), set(sys.modules)

    with pytest.raises(UntrustedModelError), code_folder(folder / "code", grant=grant):
        pass
    with pytest.raises(UntrustedModelError):
        load_module_file(folder / "code" / "evil_helper.py", grant=grant, name="evil")
    assert (sys.path, set(sys.modules)) == before


def test_a_grant_does_not_reach_out_of_its_folder(tmp_path):
    folder = write(tmp_path / "model", {"MLmodel": ""})
    write(tmp_path / "outside", {"evil_helper.py": "raise SystemExit\n"})
    grant = policy.grant(policy.open_folder(folder), "code", model="m", reason="", trust="code")

    for path in (folder / ".." / "outside", tmp_path / "outside"):
        with pytest.raises(UntrustedModelError), code_folder(path, grant=grant):
            pass
