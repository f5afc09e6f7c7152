"""C05: nothing here renders templates or asks a shell."""

import re
from pathlib import Path

import modelserving


def test_no_template_engine_and_no_shell_is_in_the_package():
    """C05"""
    for path in Path(modelserving.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(jinja2|mako|string\.Template|shell=True|os\.system|os\.popen)\b", source), (
            path
        )
