"""C06: neither a model nor a request makes the server open a connection or start a program."""

import os
import subprocess
import sys

SERVING = """
import sys
events = []
sys.addaudithook(lambda event, args: events.append(f"{event} {args!r:.80}") if event in WATCHED else None)
WATCHED = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen"}
WATCHED |= {"os.system", "os.exec", "os.posix_spawn"}
import io
import numpy as np
from modelserving import create_app, load_model, log_model
def double(rows): return rows * 2
info = log_model(double, "double", registered_model_name="Double", input_example=np.ones((2, 2)))
load_model(info.model_uri).predict(np.ones((1, 2)))
with create_app("models:/Double/latest") as app:
    for data in ("[[1, 2]]", '"http://127.0.0.1:9/"', '[{"b64": "x", "uri": "s3://a/b"}]'):
        body = f'{{"inputs": {data}}}'.encode()
        environ = {
            "REQUEST_METHOD": "POST", "PATH_INFO": "/invocations", "QUERY_STRING": "", "SCRIPT_NAME": "",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
        }
        b"".join(app(environ, lambda *a: None))
HOSTS = ("http://127.0.0.1:9/m", "s3://bucket/m", "file://host/m", "models://127.0.0.1:9/m", "//127.0.0.1/m")
for uri in HOSTS:
    try:
        load_model(uri)
    except Exception as error:
        print(type(error).__name__)
print(events)
"""


def test_loading_and_serving_open_no_connection_and_start_no_program(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", SERVING],
        env={**os.environ, "MODELSERVING_STORE": str(tmp_path / "store")},
        capture_output=True,
        text=True,
        check=True,
    )

    *refusals, events = answer.stdout.split("\n")[:-1]
    assert set(refusals) <= {"InvalidURIError", "MLmodelError"}
    assert len(refusals) == 5
    assert events == "[]"
