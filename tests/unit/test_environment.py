"""The environment of a model: recorded, compared, written."""

from __future__ import annotations

import platform
from importlib import metadata

import pytest
import yaml

from modelserving.environment import (
    Mismatch,
    check_requirement,
    installed,
    mismatches,
    pin,
    pinned,
    write_environment,
)
from modelserving.errors import RequirementError

NUMPY = metadata.version("numpy")


def test_installed_names_versions_and_leaves_out_what_is_missing():
    assert installed(["numpy", "no-such-package", "python", "", "../x"]) == {
        "numpy": NUMPY,
        "python": platform.python_version(),
    }


def test_an_equal_environment_has_no_mismatches():
    assert mismatches(installed(["numpy", "PyYAML", "python"])) == []


def test_the_label_of_a_build_and_the_patch_release_of_python_make_no_difference():
    minor = ".".join(platform.python_version().split(".")[:2])

    assert mismatches({"numpy": f"{NUMPY}+cpu", "python": f"{minor}.99"}) == []


def test_every_difference_is_a_warning_with_both_versions_and_a_remedy():
    found = mismatches({"numpy": "0.1", "gone": "1.0+cpu", "python": "2.7.1"})

    assert [str(each) for each in found] == [
        "the model was made with gone 1.0+cpu, which is not installed; run: pip install 'gone==1.0'",
        f"the model was made with numpy 0.1, installed is {NUMPY}; run: pip install 'numpy==0.1'",
        f"the model was made with python 2.7.1, installed is {platform.python_version()}; use Python 2.7",
    ]
    assert found[1] == Mismatch("numpy", "0.1", NUMPY)


def test_pins_are_sorted_and_exact():
    assert pin(["numpy", "no-such-package", "numpy"]) == [
        "no-such-package",
        f"numpy=={NUMPY.partition('+')[0]}",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "scikit-learn==1.9.1", "numpy", "a", "pandas>=2.1,<3", "torch == 2.3.0+cpu", "x[extra,other]~=1.0",
        "a!=1.*", "b===1", "tomli>=2; python_version < '3.11'",
        'x; sys_platform == "linux" and python_version >= "3"',
    ],
)  # fmt: skip
def test_requirements(line):
    assert check_requirement(line) == line


@pytest.mark.parametrize(
    "line",
    [
        "", " ", "-r /etc/passwd", "--index-url http://evil", "-e .", " -r x", "numpy\n-r x", "numpy\r",
        "numpy\n",
        "a; os.system('id')", "a; python_version < '3' $(id)", "git+ssh://host/x", "x @ file:///etc/passwd",
        "x @ https://host/x.whl", "x@https://host/x;id", "./x", "/srv/x.whl", "x.whl/..",
        "numpy --hash=sha256:1",
        "`id`", "$(id)", "a|b", "a&b", "a==1'", "a # comment", "é", "a==", "a[", "_a", "a" * 501, "a\x00",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_not_a_plain_requirement_is_refused(line, tmp_path):
    with pytest.raises(RequirementError, match="is not a requirement"):
        check_requirement(line)
    with pytest.raises(RequirementError):
        write_environment(tmp_path, ["numpy", line])

    assert list(tmp_path.iterdir()) == []


def test_pins_of_a_foreign_file_are_read_and_all_else_is_passed_over():
    foreign = (
        "mlflow==3.17.2\nscikit-learn\n-r /etc/passwd\n--index-url=http://evil\nx @ file:///a==1\n"
        "torch == 2.3.0+cpu  # why\npandas[all]==2.1; python_version < '4'\ny>=1\n; os.system==1\ngit+ssh://a==1\n"
    )

    assert pinned(foreign) == {"mlflow": "3.17.2", "torch": "2.3.0+cpu", "pandas": "2.1"}


def test_three_files_are_written_in_mlflows_form(tmp_path):
    write_environment(tmp_path, ["numpy==1.26.0", "scikit-learn"])
    requirements = (tmp_path / "requirements.txt").read_text().splitlines()
    python_env = yaml.safe_load((tmp_path / "python_env.yaml").read_text())
    conda = yaml.safe_load((tmp_path / "conda.yaml").read_text())

    assert requirements == [*pin(["modelserving"]), "numpy==1.26.0", "scikit-learn"]
    assert list(python_env) == ["python", "build_dependencies", "dependencies"]
    assert python_env["python"] == platform.python_version()
    assert python_env["dependencies"] == ["-r requirements.txt"]
    assert list(conda) == ["channels", "dependencies", "name"]
    assert conda["dependencies"][0] == f"python={platform.python_version()}"
    assert conda["dependencies"][-1] == {"pip": requirements}


def test_this_package_is_not_required_twice(tmp_path):
    write_environment(tmp_path, ["ModelServing>=0.1", "numpy"])

    assert (tmp_path / "requirements.txt").read_text() == "ModelServing>=0.1\nnumpy\n"
