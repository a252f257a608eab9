"""TLS and mTLS of the gateway, and certificates that are renewed while it runs."""

import asyncio
import datetime
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cluster.client import AsyncClient, ClientTls
from cluster.gateway.config import Tls
from cluster.gateway.server import Face
from cluster.gateway.tls import Certificates
from tests.gateway import running
from worldloom.errors import ConfigError, ServiceError


@dataclass(frozen=True)
class Authority:
    """Signs certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Writes a new certificate for localhost, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _signed(name, key, self.certificate.subject, self.key, is_ca=False)
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def pem(self, folder: Path, name: str) -> Path:
        """Writes the certificate of the authority."""
        path = folder / f"{name}.pem"
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path


def authority(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return Authority(key, _signed(name, key, subject, key, is_ca=True))


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    is_ca: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


async def used_bytes(port: str, token: str, tls: ClientTls) -> int:
    async with AsyncClient(f"localhost:{port}", token, tls=tls, retry_s=0.0) as client:
        return (await client.quota()).used_bytes


def test_renewed_certificates_are_taken_up_and_broken_ones_are_not(tmp_path: Path):
    old, new = authority("old"), authority("new")
    cert, key = old.write(tmp_path, "server")
    old_ca, new_ca = old.pem(tmp_path, "old"), new.pem(tmp_path, "new")

    async def test() -> None:
        face = Face("127.0.0.1:0", tls=Tls(cert, key), drain_s=0.2)
        async with running(tmp_path / "data", face) as gateway:
            port = gateway.address.rpartition(":")[2]
            token = gateway.core.tokens.create("alice")
            assert await used_bytes(port, token, ClientTls(old_ca)) == 0
            with pytest.raises(ServiceError):
                await used_bytes(port, token, ClientTls(new_ca))
            new.write(tmp_path, "server")
            assert await used_bytes(port, token, ClientTls(new_ca)) == 0
            with pytest.raises(ServiceError):
                await used_bytes(port, token, ClientTls(old_ca))
            cert.write_bytes(b"half a fi")
            assert await used_bytes(port, token, ClientTls(new_ca)) == 0

    asyncio.run(test())


def test_with_mtls_only_clients_of_the_authority_come_in(tmp_path: Path):
    ours, theirs = authority("ours"), authority("theirs")
    cert, key = ours.write(tmp_path, "server")
    ca = ours.pem(tmp_path, "ours")
    good, bad = ours.write(tmp_path, "good"), theirs.write(tmp_path, "bad")

    async def test() -> None:
        face = Face("127.0.0.1:0", tls=Tls(cert, key, ca), drain_s=0.2)
        async with running(tmp_path / "data", face) as gateway:
            port = gateway.address.rpartition(":")[2]
            token = gateway.core.tokens.create("alice")
            assert await used_bytes(port, token, ClientTls(ca, *good)) == 0
            for tls in (ClientTls(ca), ClientTls(ca, *bad)):
                with pytest.raises(ServiceError):
                    await used_bytes(port, token, tls)

    asyncio.run(test())


def test_a_client_does_not_send_its_token_in_the_clear(tmp_path: Path):
    async def test() -> None:
        with pytest.raises(ConfigError, match="in the clear"):
            AsyncClient("example.org:443", "wl_token")
        await AsyncClient("example.org:443", "wl_token", plaintext=True).close()

    asyncio.run(test())


def test_files_that_are_no_certificates_are_refused(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="PEM"):
        Certificates(Tls(tmp_path / "a", tmp_path / "a"))
    with pytest.raises(ConfigError, match="cannot be read"):
        Certificates(Tls(tmp_path / "b", tmp_path / "a"))
