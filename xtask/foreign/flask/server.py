"""A server behind Flask-Limiter: server.py STRATEGY LIMIT (as in "moving-window" "20 per 4 seconds").

Prints its address on one line."""

import logging
import sys

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from werkzeug.serving import WSGIRequestHandler, make_server

strategy, limit = sys.argv[1:3]
app = Flask(__name__)
Limiter(
    get_remote_address,
    app=app,
    default_limits=[limit],
    strategy=strategy,
    storage_uri="memory://",
    headers_enabled=True,
)


@app.get("/")
def index():
    return "ok"


class Handler(WSGIRequestHandler):
    """Keeps connections."""

    protocol_version = "HTTP/1.1"


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Handler)
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
