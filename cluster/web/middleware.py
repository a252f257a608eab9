"""What happens around every request: measuring, safety headers, errors as pages."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from aiohttp.typedefs import Middleware

from cluster.web import views
from cluster.web.headers import safety_headers
from cluster.web.metrics import WebMetrics

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_logger = logging.getLogger(__name__)


def measured(metrics: WebMetrics) -> Middleware:
    """Returns a middleware that counts requests by route and outcome."""

    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        start_s, code = time.perf_counter(), 500
        try:
            answer = await handler(request)
            code = answer.status
            return answer
        except web.HTTPException as error:
            code = error.status
            raise
        finally:
            metrics.requests.labels(route, str(code)).inc()
            if not route.endswith("/events"):
                metrics.seconds.labels(route).observe(time.perf_counter() - start_s)

    return measure


def add_safety_headers(app: web.Application, secure: bool) -> None:
    """Lets every answer of an application carry the headers that it has no others for.

    Args:
        app: The application.
        secure: Whether browsers come by TLS.
    """
    headers = safety_headers(secure)

    async def add(_request: web.Request, answer: web.StreamResponse) -> None:
        for name, value in headers.items():
            answer.headers.setdefault(name, value)
        # Not which library, and which version of it, is to be attacked.
        answer.headers["Server"] = "worldloom"

    app.on_response_prepare.append(add)


@web.middleware
async def shown(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Shows errors as pages to browsers and as a line of text to others."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return _shown(request, error)
    except Exception:
        # The boundary of the process: the caller learns nothing of what is inside.
        _logger.exception("%s %s failed", request.method, request.path)
        return _page(request, 500, "Something went wrong here. It has been logged.", {})


def _shown(request: web.Request, error: web.HTTPException) -> web.Response:
    kept = {k: v for k, v in error.headers.items() if k in {"WWW-Authenticate", "Allow"}}
    return _page(request, error.status, error.text or error.reason, kept)


def _page(
    request: web.Request, status: int, message: str, headers: Mapping[str, str]
) -> web.Response:
    if "text/html" in request.headers.get("Accept", ""):
        text, kind = views.error_page(status, message), "text/html"
    else:
        text, kind = message + "\n", "text/plain"
    return web.Response(text=text, status=status, content_type=kind, headers=headers)
