"""Channels to partners, pinned certificates, message streams and outbox delivery.

With the generated code the only place in core that knows gRPC and Protobuf. Importing this package settles
two things for the whole process, before gRPC reads its settings:

* **TLS 1.3 alone.** gRPC for Python cannot set a minimum version. But every peer's certificate is ECDSA
  (checked when a card is imported), and the only TLS 1.2 cipher suite left on offer here needs an RSA
  certificate, so a 1.2 handshake finds no shared cipher, on either side. TLS 1.3 suites are not affected by
  the setting. The server checks the negotiated version besides (docs/adr/0008-transport.md).
* **No text of gRPC's own** on standard error: it may quote what a stranger sent. The server logs every call.
"""

import logging
import os

os.environ["GRPC_SSL_CIPHER_SUITES"] = "ECDHE-RSA-AES128-GCM-SHA256"
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
logging.getLogger("grpc").setLevel(logging.CRITICAL + 1)
