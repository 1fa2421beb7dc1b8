"""A mail server that wants STARTTLS and a login, and says on stderr what it takes: one line of JSON a mail.

smtp_receiver.py PORT CERTIFICATE KEY USER PASSWORD
"""

import email
import email.policy
import json
import ssl
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

port, certificate, key, user, password = sys.argv[1:]


class Receiver:
    async def handle_DATA(self, server, session, envelope):
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        told = {
            "id": mail["Message-ID"],
            "proof": "TLS" if session.ssl and session.authenticated else None,
            "state": "resolved" if "resolved" in mail["Subject"] else "open",
            "subject": mail["Subject"],
            "text": mail.get_content(),
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
        }
        print("told " + json.dumps(told), file=sys.stderr, flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good)


class Server(Controller):
    def factory(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return SMTP(
            self.handler,
            hostname="localhost",
            tls_context=context,
            require_starttls=True,
            authenticator=authenticate,
            auth_required=True,
        )


Server(Receiver(), hostname="127.0.0.1", port=int(port)).start()
print("receiver listens", file=sys.stderr, flush=True)
threading.Event().wait()
