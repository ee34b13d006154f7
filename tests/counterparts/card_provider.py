"""localstripe on loopback, at a free port that it prints, keeping nothing on disk."""

import socket

from aiohttp import web
from localstripe import resources, server

resources.Store.dump_to_disk = lambda self: None

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen()
print(f"listening {listener.getsockname()[1]}", flush=True)
web.run_app(server.app, sock=listener, print=None, access_log=None)
