"""The application: paths, handlers, and what every request goes through."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from dvl2_cli.server.http import about, ollama, tasks
from dvl2_cli.server.http.body import BodyLimit
from dvl2_cli.server.http.chat import chat_completions
from dvl2_cli.server.http.faults import Faults
from dvl2_cli.server.http.gatekeeper import Gatekeeper
from dvl2_cli.server.http.refusals import answer_status
from dvl2_cli.server.http.service import Service


def application(service: Service) -> Starlette:
    """The ASGI application that answers with ``service``."""
    options = service.options
    middleware = [Middleware(Faults, metrics=service.metrics)]
    if options.origins:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=options.origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
            )
        )
    middleware += [
        Middleware(Gatekeeper, options=options),
        Middleware(BodyLimit, limits=options.limits),
    ]
    routes = [
        Route("/health", about.health),
        Route("/metrics", about.metrics),
        Route("/v1/models", about.models),
        Route("/v1/models/{name:path}", about.one_model),
        Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        Route("/v1/ocr", tasks.ocr, methods=["POST"]),
        Route("/v1/ground", tasks.ground, methods=["POST"]),
        Route("/v1/caption", tasks.caption, methods=["POST"]),
        Route("/api/version", ollama.version),
        Route("/api/tags", ollama.tags),
        Route("/api/chat", ollama.chat, methods=["POST"]),
        Route("/api/generate", ollama.generate, methods=["POST"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={HTTPException: answer_status},
    )
    app.state.service = service
    return app
