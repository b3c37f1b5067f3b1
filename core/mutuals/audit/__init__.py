"""The audit log: a Merkle tree for each agreement, and heads of it that both sides sign (DESIGN §9; docs/protocol.md).

``merkle`` and ``notes`` are pure: trees and proofs of RFC 6962, signed notes of C2SP. ``tree`` turns entries of the
store into leaves; ``heads`` is what a contact with a partner carries; ``verify`` and ``bundle`` recompute everything
later.
"""
