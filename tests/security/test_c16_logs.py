"""C16: what a client sends can neither end a line of the log nor move a terminal's cursor."""

import logging
import re


def test_a_request_writes_lines_into_the_log_that_are_its_own(answers, caplog):
    caplog.set_level(logging.DEBUG, logger="modelserving")

    for asked, _ in answers:
        for record in caplog.records:
            message = record.getMessage()
            assert re.fullmatch("[^\x00-\x1f\x7f-\x9f\u2028\u2029]*", message), (asked, message)
            assert len(message) < 2000
        caplog.clear()
