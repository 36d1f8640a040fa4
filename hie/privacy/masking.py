"""Masking by role: who is shown what (`hie.core.masking.Masking`).

Systems see what they may read as it is stored; so does everybody where requests need no authentication. A
person sees what one of the roles sees; with a client application no more than without.
"""

from functools import cache

from hie.core.access import Requester, Role
from hie.core.masking import Mask
from hie.privacy.mask import ElementMask
from hie.privacy.masking_rules import KINDS, Kind, MaskingRules, load_rules

# One's own record, and a ward's: no licence for those of others.
_OWN = frozenset({Role.CITIZEN, Role.GUARDIAN})


class RoleMasking:
    """Masks by the requester's roles; safe to share between threads."""

    def __init__(self, rules: MaskingRules | None = None) -> None:
        """Take the rules, by default those of this exchange."""
        rules = rules or load_rules()
        self._kinds = cache(lambda roles: kinds_for(rules, roles))
        self._mask = cache(lambda kinds: ElementMask(rules, kinds))

    def mask(self, requester: Requester) -> Mask | None:
        """Return the mask for the requester, None where all is shown."""
        if requester.kind != "person":
            return None
        kinds = self._kinds(requester.roles)
        return self._mask(kinds) if kinds else None


def kinds_for(rules: MaskingRules, roles: frozenset[Role]) -> frozenset[Kind]:
    """Return what is masked for somebody with `roles`: what none of them sees.

    Citizen and guardian count where there is no other role. Who has none sees nothing whole.
    """
    found = KINDS
    for role in roles - _OWN or roles:
        found &= rules.roles.get(role, KINDS)
    return found
