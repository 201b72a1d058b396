"""Why TLS did not come about, in words: what either side says is meant for programmers."""

from __future__ import annotations

import ssl

__all__ = ["tls_trouble"]

_NOT_NOW = "the broker refuses this client's certificate: it has ended, or does not hold yet"
_SOMETHING = "the broker refuses this client's certificate: it was revoked, does not hold yet, or is of another authority"
_WORDS = {
    "CERTIFICATE_EXPIRED": _NOT_NOW,
    "CERTIFICATE_REVOKED": "the broker refuses this client's certificate: it was revoked",
    "UNKNOWN_CA": "the broker refuses this client's certificate: it is of an authority that the broker does not know",
    "CERTIFICATE_REQUIRED": "the broker wants a certificate, and this client shows none (cert= and key= in the address)",
    "BAD_CERTIFICATE": _SOMETHING,
    "CERTIFICATE_UNKNOWN": _SOMETHING,
    "PROTOCOL_VERSION": "the broker speaks no version of TLS that is spoken here",
    "HANDSHAKE_FAILURE": "the broker and this client have no cipher in common, or it wants a certificate",
    "WRONG_VERSION_NUMBER": "what answers speaks no TLS: is it mqtt://, or another port?",
    "UNSUPPORTED_PROTOCOL": "the broker speaks no version of TLS that is spoken here",
}
"""By what the name of the alert ends with (RFC 8446, 6.2)."""
_NOT_VALID_YET = 9
"""X509_V_ERR_CERT_NOT_YET_VALID of OpenSSL."""


def tls_trouble(error: BaseException) -> str:
    """What an error of TLS means; the empty text if it is none that has a better word than its own."""
    if isinstance(error, ssl.SSLCertVerificationError):
        clock = "; is this machine's clock right?" if error.verify_code == _NOT_VALID_YET else ""
        return f"the broker's certificate does not hold: {error.verify_message}{clock}"
    if not isinstance(error, ssl.SSLError):
        return ""
    reason = error.reason or ""
    return next((words for name, words in _WORDS.items() if reason.endswith(name)), "")
