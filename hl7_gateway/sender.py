"""The sender of a message: who it is, in which zone its clocks run, and the namespace of its identifiers.

It is not the registry of senders (which one sent a given MSH-3/MSH-4 is the gateway's configuration) and
holds no state.

https://hl7.org/fhir/R4/datatypes.html#Identifier: `Identifier.system` is the namespace in which a value is
unique.
"""

from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from urllib.parse import quote

from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

# `quote` leaves letters, digits and "_.-~" as they are; "/" is a separator here, so a part may not contain
# it raw.
_SAFE = ""
_UNNAMED = "unnamed"


@dataclass(frozen=True, slots=True)
class Sender:
    """One application of one facility that sends HL7 v2 messages (MSH-3 and MSH-4).

    `zone` settles every time that carries no offset. `charset` decodes a message whose MSH-18 is empty.
    `facility_id` is the universal id beside the facility's name (MSH-4.2).
    `identifier_base` is the URI below which the exchange names the namespaces that senders themselves only
    call by a local name (HD.1 without HD.2).
    """

    application: str
    facility: str
    zone: tzinfo
    charset: str = "utf-8"
    identifier_base: str = "http://hie.example/sid"
    facility_id: str = ""

    def system(self, *parts: str) -> str:
        """Return the URI `{identifier_base}/{facility}/{part}/...` of a namespace of this sender.

        Every part is percent-encoded (UTF-8), so that two names never meet in one URI; without a facility the
        application stands in its place. The facility's universal id stands behind its name: two hospitals may
        call themselves alike.

        >>> from zoneinfo import ZoneInfo
        >>> Sender("HIS", "郑州一院", ZoneInfo("Asia/Shanghai")).system("a/b")
        'http://hie.example/sid/%E9%83%91%E5%B7%9E%E4%B8%80%E9%99%A2/a%2Fb'
        >>> Sender("HIS", "MAIN", ZoneInfo("Asia/Shanghai"), facility_id="1.2.3").system("MR")
        'http://hie.example/sid/MAIN%5E1.2.3/MR'
        """
        owner = self.facility or self.application or _UNNAMED
        return _system(
            self.identifier_base, f"{owner}^{self.facility_id}" if self.facility_id else owner, parts
        )


def facility_id(facility: Repetition) -> str:
    """Return the universal id of an HD that has a name beside it (MSH-4.2), "" of any other.

    An HD without a name is called by its universal id, which then needs not be said twice.
    """
    return part(facility, 2).strip() if part(facility, 1).strip() else ""


@lru_cache(maxsize=4096)
def _system(base: str, owner: str, parts: tuple[str, ...]) -> str:
    return "/".join((base.rstrip("/"), *(quote(part, safe=_SAFE) for part in (owner, *parts))))
