"""A shop to try the spider on: 40 pages, and HTTP 429 for who asks more than 12 times in a second."""

import collections
import http.server
import time

MOST_PER_SECOND = 12
PAGES = 40
asked = collections.deque()


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/robots.txt":
            return self.answer(404, "")
        now = time.monotonic()
        asked.append(now)
        while asked[0] < now - 1:
            asked.popleft()
        if len(asked) > MOST_PER_SECOND:
            return self.answer(429, "too often", ("Retry-After", "2"))
        if self.path == "/moved":
            return self.answer(200, "<p>Our pages look different now.</p>")
        page = int(self.path.rsplit("/", 1)[-1])
        link = f'<a class="next" href="/pages/{page + 1}">next</a>' if page < PAGES else ""
        self.answer(200, f"<h1>page {page}</h1>{link}")

    def answer(self, status, body, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Shop).serve_forever()
