"""What keeps other sites, and what a job has made, away from a session."""

from collections.abc import Mapping
from urllib.parse import urlsplit

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere."""

REPORT_POLICY = (
    "sandbox allow-scripts allow-downloads allow-popups; default-src 'none'; "
    "script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
    "connect-src data: blob:; worker-src blob:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""A report is one file with scripts in it, made of what a caller has uploaded. The sandbox gives it
an origin of its own: it sees no cookie, and what it asks of us comes without one."""


def safety_headers(secure: bool) -> dict[str, str]:
    """Returns the headers of every answer.

    Args:
        secure: Whether browsers come by TLS.
    """
    headers = {
        "Content-Security-Policy": PAGE_POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    if secure:
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def is_from_our_pages(headers: Mapping[str, str], host: str) -> bool:
    """Tells whether a form was sent by one of our pages.

    Browsers say it in `Sec-Fetch-Site`; older ones name the origin. What says neither is no form
    of a browser that could be made to send one.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("Origin")
    return origin is None or (origin != "null" and urlsplit(origin).netloc == host)
