"""Which TLS a broker speaks. What is older, or not listed, is refused."""

from __future__ import annotations

__all__ = ["TLS_VERSIONS", "mosquitto_tls", "nats_tls"]

TLS_VERSIONS = ("1.3", "1.2")
"""The oldest version that is taken. 1.2 is for boards that know no newer one (mbedTLS as MicroPython and many ESP32 firmwares have it)."""
_SUITES_13 = ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
_SUITES_12 = {
    "ECDHE-ECDSA-AES256-GCM-SHA384": "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305": "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256": "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
}
"""Of TLS 1.2 those with forward secrecy and authenticated encryption (RFC 9325, 4.2): by the name that OpenSSL has, and by that of the
RFC."""


def mosquitto_tls(oldest: str) -> list[str]:
    """Lines of a listener."""
    lines = [f"tls_version tlsv{oldest}", f"ciphers_tls1.3 {':'.join(_SUITES_13)}"]
    return lines if oldest == "1.3" else [*lines, f"ciphers {':'.join(_SUITES_12)}"]


def nats_tls(oldest: str) -> list[str]:
    """Lines of a `tls` block. Which suites TLS 1.3 has there is not to be chosen: they are the same three."""
    lines = [f'min_version: "{oldest}"']
    suites = ", ".join(f'"{name}"' for name in _SUITES_12.values())
    return lines if oldest == "1.3" else [*lines, f"cipher_suites: [{suites}]"]
