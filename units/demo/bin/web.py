"""Answer on 127.0.0.1:UNITD_DEMO_PORT, and say so to NOTIFY_SOCKET once connections are accepted (sd_notify(3))."""

import http.server
import os
import socket

PORT = int(os.environ["UNITD_DEMO_PORT"])


class Page(http.server.BaseHTTPRequestHandler):
    """One page, whatever is asked for."""

    def do_GET(self) -> None:
        """Answer 200 with a line of text."""
        text = f"served by process {os.getpid()}, invocation {os.environ.get('INVOCATION_ID', 'unknown')}\n"
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def tell(message: str) -> None:
    """Send `message` to the socket in NOTIFY_SOCKET, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Page)
tell(f"READY=1\nSTATUS=Serving http://127.0.0.1:{PORT}/")
server.serve_forever()
