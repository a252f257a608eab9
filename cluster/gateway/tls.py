"""Certificates of the gateway, read anew when their files change."""

import logging
from dataclasses import dataclass
from typing import Any

import grpc

from cluster.gateway.config import Tls
from worldloom.errors import ConfigError

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Pems:
    key: bytes
    certificate: bytes
    client_ca: bytes | None


class Certificates:
    """Gives gRPC the certificates of each new connection.

    Args:
        tls: Their files.

    Raises:
        ConfigError: a file cannot be read, or is no PEM.
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        self._pems = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """Returns what a port is secured with."""
        # The stubs do not know that None means no change.
        changed: Any = self._changed
        return grpc.dynamic_ssl_server_credentials(
            _configuration(self._pems),
            changed,
            require_client_authentication=self._tls.client_ca is not None,
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The certificates where they are new; what cannot be read leaves the old ones in use."""
        try:
            pems = self._read()
        except ConfigError as error:
            _logger.warning("%s; the certificates of before stay in use", error)
            return None
        if pems == self._pems:
            return None
        _logger.info("new certificates are in use")
        self._pems = pems
        return _configuration(pems)

    def _read(self) -> _Pems:
        tls = self._tls
        contents: list[bytes | None] = []
        for path in (tls.key, tls.certificate, tls.client_ca):
            try:
                contents.append(None if path is None else path.read_bytes())
            except OSError as error:
                raise ConfigError(
                    f"{path} cannot be read: {error.strerror}; check --tls-cert, --tls-key and "
                    "--client-ca",
                    field="tls",
                ) from error
        key, certificate, client_ca = contents
        for content in contents:
            if content is not None and b"-----BEGIN " not in content:
                raise ConfigError("a file of --tls-cert, --tls-key is no PEM", field="tls")
        return _Pems(key or b"", certificate or b"", client_ca)


def _configuration(pems: _Pems) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(pems.key, pems.certificate)], root_certificates=pems.client_ca
    )
