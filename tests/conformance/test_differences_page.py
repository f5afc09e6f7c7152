"""The tables of ``docs/reference/differences-from-mlflow.md`` are those of the conversion matrix.

``python tests/conformance/test_differences_page.py`` writes them into the page anew; the rest stays as it is.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "differences-from-mlflow.md"
MATRIX = runpy.run_path(str(Path(__file__).with_name("test_conversion_matrix.py")))


def test_the_page_has_the_tables_of_the_matrix():
    page = PAGE.read_text(encoding="utf-8")

    assert page == with_tables(page)


def with_tables(page):
    """The page with its two tables as the matrix gives them; each stands between two comments."""
    for name, table in (("frames", frames_table()), ("requests", requests_table())):
        begin, end = f"<!-- {name}: generated -->\n", "<!-- end -->"
        before, found, rest = page.partition(begin)
        assert found, f"the page has no line {begin!r}"
        page = before + begin + table + rest[rest.index(end) :]
    return page


def requests_table():
    """One line for every JSON value that was looked at; bold where the two differ."""
    lines = [["declared", "JSON", "MLflow", "here", "why"]]
    for kind, text, theirs, ours, why in MATRIX["REQUESTS"]:
        lines.append([kind, code(text), either(theirs), here(ours), why])
    return markdown(lines)


def frames_table():
    """One line for every kind of column and declared type where the two differ."""
    lines = [["column of the frame", "declared", "MLflow", "here", "why"]]
    meaning = {"ok": "taken", "-": "refused"}
    for name, kind, theirs, ours in MATRIX["FRAME_CELLS"]:
        if theirs != ours:
            lines.append([name, kind, meaning[theirs], meaning[ours], MATRIX["WHY"][theirs, ours, kind]])
    return markdown(lines)


def either(theirs):
    """MLflow's values as code; words between them as words."""
    return re.sub(r"[^/]+?(?= / | or |$)", lambda found: value(found[0]), theirs)


def value(text):
    lead = " or " if text.startswith(" or ") else " " if text.startswith(" ") else ""
    rest = text.removeprefix(lead)
    return lead + (rest if rest == MATRIX["REFUSED"] else code(rest))


def here(ours):
    if isinstance(ours, np.datetime64):
        return code(str(ours).rstrip("0").rstrip(".") if "." in str(ours) else str(ours))
    if isinstance(ours, str):
        return ours if ours == MATRIX["REFUSED"] else code("nan" if ours == "NaN" else repr(ours))
    return code(repr(float(ours)) if isinstance(ours, np.floating) else repr(ours))


def code(text):
    return f"`{text}`"


def markdown(lines):
    head, *rows = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
