"""TLS in front of a server that listens on a socket file: certificates of an authority of the tests' own."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """Signs certificates; its own lies in ``file``."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def made(cls, folder: Path, name: str) -> Authority:
        """A new authority, with its certificate as ``<name>.pem``."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = _builder(subject, subject, key).add_extension(x509.BasicConstraints(True, None), True)
        made = cls(folder, key, certificate.sign(key, hashes.SHA256()))
        (folder / f"{name}.pem").write_bytes(made.certificate.public_bytes(serialization.Encoding.PEM))
        return made

    def issue(self, name: str, host: str) -> tuple[Path, Path]:
        """Files with a certificate for ``host`` (a name or an address) and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        try:
            known: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            known = x509.DNSName(host)
        builder = _builder(subject, self.certificate.subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName([known]), False)
        certificate = builder.sign(self.key, hashes.SHA256())
        files = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem, pkcs8, none = (
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        files[1].write_bytes(key.private_bytes(pem, pkcs8, none))
        return files


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    return builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))


@contextlib.contextmanager
def tls_proxy(path: str, certificate: tuple[Path, Path], clients: Path | None = None) -> Iterator[int]:
    """A port that speaks TLS and passes on to the socket file ``path``. With ``clients`` only those are let in whose
    certificate that authority signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, context, path), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, context: ssl.SSLContext, path: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            plain, _ = listening.accept()
            threading.Thread(target=_serve, args=(plain, context, path), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, path: str) -> None:
    with (
        contextlib.suppress(OSError),
        plain,
        socket.socket(socket.AF_UNIX) as server,
        context.wrap_socket(plain, server_side=True) as client,
    ):
        server.connect(path)
        back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
        back.start()
        _pass_on(client, server)
        back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
