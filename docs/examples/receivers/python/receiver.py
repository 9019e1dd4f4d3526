"""Receives webhooks, with the standard library alone: WEBHOOK_SECRET=whsec_... PORT=8080 python3 receiver.py

A message goes into a table before the response, and is processed from there: a crash loses nothing, and a
message that comes twice is one row.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["WEBHOOK_SECRET"]
INBOX = os.environ.get("INBOX", "inbox.db")
TOLERANCE_SECONDS = 5 * 60
MAX_BODY_BYTES = 1024 * 1024


def verify(secret, headers, body):
    """Raises ValueError unless a message is ours, unaltered and recent. `body` is the raw bytes as they came."""
    message_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not message_id or not signatures or not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise ValueError("headers are missing")
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        raise ValueError("too old, or too new")

    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{timestamp}.".encode() + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    # During a rotation there are several: one match is enough. Versions other than v1 are skipped.
    for entry in signatures.split(" "):
        version, _, signature = entry.partition(",")
        if version == "v1" and hmac.compare_digest(signature.encode(), expected):
            return
    raise ValueError("no signature fits")


def inbox():
    database = sqlite3.connect(INBOX, timeout=10)
    database.execute("create table if not exists inbox (id text primary key, body blob, done integer default 0)")
    return database


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length", "0"))
        if self.path != "/webhooks" or not 0 <= length <= MAX_BODY_BYTES:
            self.close_connection = True
            return self.answer(404 if self.path != "/webhooks" else 413)
        body = self.rfile.read(length)
        try:
            verify(SECRET, self.headers, body)
        except ValueError as fault:
            print(f"refused: {fault}", flush=True)
            return self.answer(401)
        message_id = self.headers["webhook-id"]
        with inbox() as database:
            row = database.execute("insert or ignore into inbox (id, body) values (?, ?)", (message_id, body))
        if row.rowcount == 0:
            print(f"duplicate {message_id}", flush=True)
        self.answer(204)
        arrived.set()

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def work():
    """Takes what is in the inbox, one after the other, also what an earlier process left there."""
    database = inbox()
    while True:
        for message_id, body in database.execute("select id, body from inbox where done = 0 order by rowid").fetchall():
            event = json.loads(body)
            with database:  # your own writes belong into this transaction, too
                database.execute("update inbox set done = 1 where id = ?", (message_id,))
            print(f"processed {event['type']} {event['id']}", flush=True)
        arrived.wait()
        arrived.clear()


arrived = threading.Event()

if __name__ == "__main__":
    threading.Thread(target=work, daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8080"))), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}/webhooks", flush=True)
    server.serve_forever()
