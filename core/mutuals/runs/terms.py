"""What both sides of a match must say alike, from the agreement and the release they run."""

from __future__ import annotations

from mutuals.agreement.active import ActiveAgreement
from mutuals.models.run import Role
from mutuals.normalisation import get_profile
from mutuals.peer import Peer
from mutuals.protocol.hello import MatchTerms
from mutuals.store.rows import PartnerRow


def match_terms(
    peer: Peer, partner: PartnerRow, active: ActiveAgreement, role: Role, count_only: bool
) -> MatchTerms:
    """What both sides of a run under ``active`` must say in Open and Accept."""
    matching = active.agreement.matching
    theirs = bytes.fromhex(partner.fingerprint)
    initiator, responder = (
        (peer.fingerprint, theirs) if role is Role.INITIATOR else (theirs, peer.fingerprint)
    )
    return MatchTerms(
        agreement=bytes.fromhex(active.digest),
        engine=matching.engine,
        profile=matching.profile,
        profile_digest=get_profile(matching.profile).digest(),
        initiator=initiator,
        responder=responder,
        min_set_size=matching.min_set_size,
        max_set_size=matching.max_set_size,
        count_only=count_only,
    )
