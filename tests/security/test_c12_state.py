"""C12: no request changes anything; nothing loads, unloads, logs or registers over HTTP."""

import hashlib


def state(home):
    """Everything on disk: every file's path, bytes and times."""
    found = hashlib.sha256()
    for path in sorted(home.rglob("*")):
        found.update(str(path).encode())
        if path.is_file():
            found.update(path.read_bytes() + str(path.stat().st_mtime_ns).encode())
    return found.hexdigest()


def test_no_request_changes_anything_on_disk(answers, home):
    before = state(home)

    asked = sum(1 for _ in answers)

    assert asked > 250
    assert state(home) == before


def test_the_table_of_routes_is_closed(answers, app):
    for asked, (status, *_) in answers:
        method, path = asked[:2]
        if path not in app.app.routes and method.isupper():
            assert status in {404, 405}, asked
        if method in {"PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND"}:
            assert status in {404, 405}, asked
