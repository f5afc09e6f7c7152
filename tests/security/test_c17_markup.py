"""C17: every answer says what it is, and nothing of it is markup."""

import json
import re

SCRIPT = "<script>"


def test_every_answer_says_what_it_is_and_nothing_of_it_is_markup(answers):
    for asked, (status, headers, body, sent) in answers:
        assert headers["X-Content-Type-Options"] == "nosniff", asked
        assert headers["Content-Security-Policy"] == "default-src 'none'", asked
        assert headers["Cache-Control"] == "no-store", asked
        assert headers.get("Content-Type", "application/json").startswith("application/"), asked
        assert body or status in {200, 204, 404, 405}
        for name, value in sent:
            assert re.fullmatch("[!-~]+", name)
            assert re.fullmatch("[ -~]*", value), asked
            assert SCRIPT not in value
        if status >= 400 and body:
            assert json.loads(body)["error"]
