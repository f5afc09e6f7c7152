"""C15: no answer shows a secret, a path of the server, a traceback or the text of an exception."""


def test_no_answer_shows_a_secret_a_path_or_a_traceback(answers, home, secret):
    statuses = set()
    for asked, (status, headers, body, _) in answers:
        answer = repr((headers, body))
        for text in (secret, str(home), "Traceback", 'File \\"', "RuntimeError: "):
            assert text not in answer, asked
        statuses.add(status)

    assert 500 in statuses  # the model did raise its secret
