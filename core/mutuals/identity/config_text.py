"""``config.toml`` as ``mutuals init`` writes it: every key with the reason why one would change it."""

from __future__ import annotations

import json

from mutuals.identity.home import Config
from mutuals.identity.limits import LimitSettings


def config_toml(config: Config) -> str:
    """``config`` as commented TOML (TOML 1.0) that ``load_config`` reads back as the same values."""
    contacts = "\n".join(
        f"[[contacts]]\nname = {_text(person.name)}\nrole = {_text(person.role)}\n"
        f"email = {_text(person.email)}\n"
        for person in config.contacts
    )
    return _TEMPLATE.format(
        organisation=_text(config.organisation),
        introduction=_text(config.introduction),
        privacy_policy=_text(config.privacy_policy),
        data_handling=_text(config.data_handling),
        endpoint=_optional("endpoint", config.endpoint, "peer.example.com:8443"),
        listen=_text(config.listen),
        metrics=_optional("metrics", config.metrics, "127.0.0.1:9464"),
        log_format=_text(config.log_format),
        store=_optional("store", config.store, "postgresql+psycopg://mutuals@localhost/mutuals"),
        workers=_optional("workers", config.workers, 4),
        x25519_backend=_optional("x25519_backend", config.x25519_backend, "cryptography"),
        executor=_optional("executor", config.executor, "tls://scheduler.internal:8786"),
        executor_ca=_optional("executor_ca", config.executor_ca, "keys/cluster-ca.pem"),
        executor_cert=_optional("executor_cert", config.executor_cert, "keys/cluster.pem"),
        executor_key=_optional("executor_key", config.executor_key, "keys/cluster.key"),
        housekeeping_minutes=config.housekeeping_minutes,
        renew_days=config.renew_days,
        overlap_days=config.overlap_days,
        limits=_limits(config.limits),
        memory_kib=config.kdf.memory_kib,
        iterations=config.kdf.iterations,
        lanes=config.kdf.lanes,
        contacts=contacts or _EXAMPLE_CONTACT,
    )


def _text(value: str) -> str:
    """A TOML basic string, over several lines where the text has several."""
    escaped = json.dumps(value, ensure_ascii=False)
    if "\n" not in value:
        return escaped
    return '"""\n' + escaped[1:-1].replace("\\n", "\n") + '"""'


def _optional(key: str, value: str | int | None, example: str | int) -> str:
    written = json.dumps(example if value is None else value, ensure_ascii=False)
    return f"# {key} = {written}" if value is None else f"{key} = {written}"


_LIMITS = {
    "runs": "# Matches, reveals and exchanges at a time; more are told to come back.",
    "calls_per_minute_per_partner": "# Calls of any kind, and of them matches.",
    "mb_per_second": "# What is read of their messages; faster ones wait.",
    "memory_mb": "# Memory that matches may hold, as announced: by default half of the machine's, a quarter each.",
    "spool_mb": "# What runs may keep on disk until they end, and what stays free on that disk.",
    "connections": "# Connections, strangers' as well.",
}
"""What is said of a key and those below it."""


def _limits(limits: LimitSettings) -> str:
    lines: list[str] = []
    for key in type(limits).model_fields:
        lines += [_LIMITS[key]] if key in _LIMITS else []
        lines.append(_optional(key, getattr(limits, key), 8000 if key == "memory_mb" else 4000))
    return "\n".join(lines)


_EXAMPLE_CONTACT = """\
# [[contacts]]
# name = "Jane Doe"
# role = "data protection officer"
# email = "privacy@example.com"
"""

_TEMPLATE = """\
# The configuration of this peer. Times and sizes carry their unit in the name.

# --- What partners see: on your card. After a change: mutuals card --renew, which also tells them. ---

organisation = {organisation}
# Who you are, in a sentence or two.
introduction = {introduction}
# Where your privacy policy is, or what it says about sharing contacts.
privacy_policy = {privacy_policy}
# How you handle data you receive: who sees it, where it lies, how long.
data_handling = {data_handling}
# host:port under which partners reach this peer. Without one they wait for you to call; one side is enough.
{endpoint}

# --- How this peer runs ---

# host:port that mutuals serve listens on; 0.0.0.0:8443 for every network.
listen = {listen}
# Where Prometheus reads how mutuals serve is doing: on this machine. By default nowhere. See docs/operations.md.
{metrics}
# How mutuals serve writes its log to standard error: "human" or "json". The file in log/ is JSON.
log_format = {log_format}
# Database URL, without a password in it. By default SQLite in this folder.
{store}
# Worker processes for matching. By default one for each core.
{workers}
# What computes X25519: "crypto_mb" or "cryptography". By default the fastest that this CPU runs; see: mutuals doctor
{x25519_backend}
# A dask scheduler of your own, to compute on other machines, and the files of its TLS: docs/operations.md.
{executor}
{executor_ca}
{executor_cert}
{executor_key}
# How often mutuals serve destroys what is due and certifies what has ended; it also does at its start.
housekeeping_minutes = {housekeeping_minutes}
# How many days before its end mutuals serve and mutuals sync renew the TLS certificate; 0 for never.
renew_days = {renew_days}
# How many days the certificate of before a renewal stays good, for partners to get the new one.
overlap_days = {overlap_days}

# What partners may take at most, together and each: docs/operations.md, Limits. mb: a million bytes.
[limits]
{limits}

# What a passphrase costs to try (Argon2id). Applies to operators added from now on.
[kdf]
memory_kib = {memory_kib}
iterations = {iterations}
lanes = {lanes}

# --- People to talk to, on your card; repeat the block for each. ---

{contacts}"""
