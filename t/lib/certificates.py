"""Certificates for tests, made on the spot: an authority, hosts and people that it vouches for, and what it revokes."""

from __future__ import annotations

import datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def name_of(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "DE"),
                      x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Test Org"),
                      x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])


@cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """Return one of some keys that take time to make."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Authority:
    """Signs certificates.  Files that it writes are readable by everybody."""

    def __init__(self, common: str = "Test CA") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(common)
        self.certificate = (
            x509.CertificateBuilder().subject_name(self.name).issuer_name(self.name).public_key(self.key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(NOW - DAY).not_valid_after(NOW + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
            .sign(self.key, hashes.SHA256()))

    def issue(self, common: str, *, names: tuple[str, ...] = (), key: Key | None = None,
              days: int = 20) -> tuple[x509.Certificate, Key]:
        """Return a certificate for a host or client, and its key (by default one of an elliptic curve)."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder().subject_name(name_of(common)).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(NOW - 10 * DAY)
            .not_valid_after(NOW + days * DAY)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False))
        if names:
            other = x509.SubjectAlternativeName([x509.DNSName(n) for n in names])
            builder = builder.add_extension(other, critical=False)
        return builder.sign(self.key, hashes.SHA256()), key

    def revoke(self, *certificates: x509.Certificate) -> bytes:
        """Return a list of revoked certificates in PEM form."""
        builder = (x509.CertificateRevocationListBuilder().issuer_name(self.name).last_update(NOW - DAY)
                   .next_update(NOW + 10 * DAY))
        for one in certificates:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(NOW - DAY).build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def prove(self, certificate: x509.Certificate, *, days: int = 5) -> bytes:
        """Return an OCSP answer in DER form that says that a certificate is good."""
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=certificate, issuer=self.certificate, algorithm=hashes.SHA1(),
            cert_status=ocsp.OCSPCertStatus.GOOD, this_update=NOW - 3 * DAY, next_update=NOW + days * DAY,
            revocation_time=None, revocation_reason=None)
        signed = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        return signed.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def pem(*things: x509.Certificate | Key) -> bytes:
    """Return certificates and keys in PEM form."""
    out = b""
    for one in things:
        if isinstance(one, x509.Certificate):
            out += one.public_bytes(serialization.Encoding.PEM)
        else:
            out += one.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                     serialization.NoEncryption())
    return out


def write(path: Path, *things: x509.Certificate | Key) -> str:
    """Write a PEM file; its name."""
    path.write_bytes(pem(*things))
    path.chmod(0o644)
    return str(path)
