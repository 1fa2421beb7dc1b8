"""An HTTPS server that says on stderr what is posted to it: one line of JSON a request.

webhook_receiver.py PORT CERTIFICATE KEY
"""

import http.server
import json
import ssl
import sys


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        told = {
            "id": self.headers["Idempotency-Key"],
            "proof": self.headers["Authorization"],
            "state": body["state"],
            "subject": body["subject"],
            "text": body["text"],
        }
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print("told " + json.dumps(told), file=sys.stderr, flush=True)

    def log_message(self, *_):
        pass


port, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Receiver)
server.socket = context.wrap_socket(server.socket, server_side=True)
print("receiver listens", file=sys.stderr, flush=True)
server.serve_forever()
