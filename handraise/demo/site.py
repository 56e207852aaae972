"""Harbourlight's web site: static pages, each with Segment's classic snippet, whose script the gateway serves."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent / "harbourlight"
TITLES = {
    "index": "Harbourlight: the cold chain, seen",
    "product": "Sensors",
    "pricing": "Pricing",
    "compare": "How we compare",
    "security": "Security",
    "blog": "Blog",
    "case-studies/dairy": "Case study: dairy",
    "papers": "Papers",
    "call-me": "Call me",
    "thanks": "Thank you",
    "careers": "Careers",
}
_PAPERS = {
    "cold-chain-guide": (
        "The cold-chain guide",
        "What goes wrong where, and what it costs.",
    ),
    "audit-checklist": (
        "Audit checklist",
        "Twenty questions, and the record that answers each.",
    ),
}


def answers(gateway: str) -> dict[str, tuple[str, bytes]]:
    """What the site answers: path → (content type, content).  `gateway`: the URL that the tracker sends to."""
    snippet = (FOLDER / "snippet.js").read_text().replace("{gateway}", gateway)
    layout = (FOLDER / "layout.html").read_text().replace("{snippet}", snippet)
    found = {"/site.css": ("text/css; charset=utf-8", (FOLDER / "site.css").read_bytes())}
    for name, title in TITLES.items():
        body = (FOLDER / f"{name}.html").read_text()
        text = layout.replace("{title}", title).replace("{body}", body)
        found["/" if name == "index" else f"/{name}"] = ("text/html; charset=utf-8", text.encode())
    for name, (title, words) in _PAPERS.items():
        found[f"/papers/{name}.pdf"] = ("application/pdf", _pdf(title, words))
    return found


@contextmanager
def serving(
    gateway: str, port: int = 0, elsewhere: Mapping[str, Callable[[], str]] = MappingProxyType({})
) -> Iterator[str]:
    """Serve the site on loopback, on any free port by default; gives its URL.  Raises OSError if the port is taken.

    `elsewhere`: paths that lead to other addresses, asked for each time.
    """
    content = answers(gateway)

    class Handler(http.server.BaseHTTPRequestHandler):
        """Answers with what stands under the path."""

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in elsewhere:
                self.send_response(HTTPStatus.SEE_OTHER)
                self.send_header("Location", elsewhere[path]())
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            found = content.get(path.rstrip("/") or "/")
            kind, body = found or ("text/plain; charset=utf-8", b"There is no such page.\n")
            self.send_response(HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _pdf(title: str, words: str) -> bytes:
    """A page with a title and a sentence, as small as PDF can be."""
    text = f"BT /F 28 Tf 72 700 Td ({title}) Tj /F 12 Tf 0 -36 Td ({words}) Tj 0 -24 Td (Harbourlight) Tj ET"
    objects = (
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(text)}>>\nstream\n{text}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    pdf, places = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(pdf))
        pdf += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    start, count = len(pdf), len(objects) + 1
    pdf += f"xref\n0 {count}\n0000000000 65535 f \n{table}trailer\n<</Size {count}/Root 1 0 R>>\n"
    pdf += f"startxref\n{start}\n%%EOF\n"
    return pdf.encode("ascii")
