"""What is asked about the server: its models, whether it is ready, how it does."""

from __future__ import annotations

from dataclasses import asdict

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request as HttpRequest
from starlette.responses import JSONResponse, Response

from dvl2_cli.server.http.service import Service, service_of


async def models(request: HttpRequest) -> Response:
    """The one model, in a list."""
    return JSONResponse({"object": "list", "data": [_entry(service_of(request))]})


async def one_model(request: HttpRequest) -> Response:
    """The model, if it is the one that is asked for."""
    service = service_of(request)
    service.check_model(request.path_params["name"])
    return JSONResponse(_entry(service))


async def health(request: HttpRequest) -> Response:
    """200 once questions can be answered, 503 while the model is being loaded."""
    service = service_of(request)
    return JSONResponse({"status": "ok", "model": service.model_name})


async def metrics(request: HttpRequest) -> Response:
    """Counts and times, for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _entry(service: Service) -> dict[str, object]:
    info = service.info
    return {
        "id": service.model_name,
        "object": "model",
        "created": service.started,
        "owned_by": "dvl2",
        "max_model_len": info.context_length,
        "is_nano": info.is_nano,
        "dvl2": {"quant": info.quant, "revision": info.revision, "policy": asdict(info.policy)},
    }
