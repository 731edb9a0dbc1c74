"""Pictures that requests bring: bytes, data URLs, and URLs where they are allowed."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import replace

from dvl2_cli.errors import InputError
from dvl2_cli.inputs.fetch import decode_data_url, is_data_url
from dvl2_cli.inputs.load import Reading, read_bytes, read_pictures
from dvl2_cli.inputs.picture import Picture, Unreadable
from dvl2_cli.inputs.sources import InputSource
from dvl2_cli.inputs.urls import is_url
from dvl2_cli.server.http.refusals import RefusalError
from dvl2_cli.server.http.service import Service


def pages_at(
    service: Service, url: str, where: str, reading: Reading | None = None
) -> Iterator[Picture | Unreadable]:
    """The pages of what is at ``url``; ``where`` names the member that holds it.

    ``reading`` says how they are read, where not as the service reads.

    Raises:
        RefusalError: no data URL, and no URL that may be asked.
    """
    reading = reading or service.reading
    if is_data_url(url):
        try:
            return read_bytes(decode_data_url(url, reading.limits), where, reading)
        except InputError as error:
            raise _wrong(f"{where}: {error.message}", where) from error
    if not is_url(url):
        raise _wrong(f"{where} is no data: URL with base64, and no other is read", where)
    if not service.options.allow_urls:
        raise _wrong(
            f"{where} is on the network, and this server fetches nothing: send a data: URL, or "
            "start it with --allow-urls",
            where,
        )
    return read_pictures(InputSource(url), replace(reading, public_only=True))


def image_at(service: Service, url: str, where: str) -> Picture:
    """The only picture at ``url``.

    Raises:
        RefusalError: it cannot be read, or there are several.
    """
    return _only(pages_at(service, url, where), where)


def image_of_base64(service: Service, text: str, where: str) -> Picture:
    """The picture that ``text`` holds, with or without the head of a data URL.

    Raises:
        RefusalError: it cannot be read.
    """
    if is_data_url(text):
        return image_at(service, text, where)
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _wrong(f"{where} is not base64 ({error})", where) from error
    return image_of(service, data, where)


def image_of(service: Service, data: bytes, where: str) -> Picture:
    """The only picture in ``data``; see ``image_at``."""
    return _only(read_bytes(data, where, service.reading), where)


def readable(found: Picture | Unreadable, where: str | None = None) -> Picture:
    """``found``, where it could be read.

    Raises:
        RefusalError: it could not.
    """
    if isinstance(found, Unreadable):
        raise _wrong(found.error.message, where) from found.error
    return found


def _only(pages: Iterator[Picture | Unreadable], where: str) -> Picture:
    first = readable(next(pages), where)
    if next(pages, None) is not None:
        raise _wrong(f"{where} has several pages: send one picture for each", where)
    return first


def _wrong(message: str, where: str | None) -> RefusalError:
    return RefusalError(400, message, "invalid_image", where)
