"""Which message structure a message follows (MSH-9.3, table 0354), also where the sender says it wrong.

A structure is shared by several trigger events since version 2.3.1: `ADT^A08` follows ADT_A01. The
assignments below are the displays of table 0354 (https://terminology.hl7.org/CodeSystem-v2-0354.html, CC0),
only where a structure serves events beside the one it is named after.
"""

from functools import lru_cache

from hl7_gateway.er7.definitions import at_or_after, before, definitions

_EVENTS = {
    "ADT_A01": "A04 A08 A13",
    "ADT_A05": "A14 A28 A31",
    "ADT_A06": "A07",
    "ADT_A09": "A10 A11 A12",
    "ADT_A21": "A22 A23 A25 A26 A27 A29 A32 A33",
    "ADT_A30": "A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A40 A41 A42",
    "ADT_A43": "A44",
    "ADT_A50": "A51",
    "ADT_A52": "A53 A55",
    "ADT_A61": "A62",
    "CRM_C01": "C02 C03 C04 C05 C06 C07 C08",
    "CSU_C09": "C10 C11 C12",
    "LSU_U12": "U13",
    "MDM_T01": "T03 T05 T07 T09 T11",
    "MDM_T02": "T04 T06 T08 T10",
    "MFK_M01": "M02 M03 M04 M05 M06 M07 M08 M09 M10 M11",
    "MFQ_M01": "M02 M03 M04 M05 M06",
    "MFR_M01": "M02 M03 M04 M05 M06",
    "ORU_R30": "R31 R32",
    "PEX_P07": "P08",
    "PGL_PC6": "PC7 PC8",
    "PMU_B01": "B02",
    "PMU_B04": "B05 B06",
    "PPG_PCG": "PCC PCH PCJ",
    "PPP_PCB": "PCD",
    "PPR_PC1": "PC2 PC3",
    "QBP_Q21": "Q22 Q23 Q24 Q25",
    "QCN_J01": "J02",
    "QRY_PC4": "PC9 PCE PCK",
    "QRY_Q01": "Q26 Q27 Q28 Q29 Q30",
    "RDE_O11": "O25",
    "REF_I12": "I13 I14 I15",
    "RPA_I08": "I09 I10 I11",
    "RPI_I01": "I04",
    "RQA_I08": "I09 I10 I11",
    "RQC_I05": "I06",
    "RQI_I01": "I02 I03 I07",
    "SIU_S12": "S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26",
    "SRM_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
}
_LONGEST = 20
_STRUCTURES = {
    f"{structure.partition('_')[0]}_{event}": structure
    for structure, events in _EVENTS.items()
    for event in events.split()
}


def message_structure(version: str, code: str, event: str, *, declared: str = "") -> str:
    """Return the structure of a message with MSH-9.1 `code`, MSH-9.2 `event` and MSH-9.3 `declared`.

    A declared structure that this version or a later one defines is believed. Otherwise it is the one of
    table 0354, the event's own, or the one of the code alone (ACK), looked up in the version's tables, then
    in later, then in earlier ones. What no version defines is returned as declared, or as `code_event`.

    >>> message_structure("2.5.1", "ADT", "A08"), message_structure("2.5.1", "ADT", "A08", declared="ADT_A08")
    ('ADT_A01', 'ADT_A01')
    """
    if max(map(len, (version, code, event, declared))) > _LONGEST:
        # No structure has such a name; what a sender makes up is not kept in the cache.
        return declared or f"{code}_{event}"
    return _structure(version, code, event, declared)


@lru_cache(maxsize=1024)
def _structure(version: str, code: str, event: str, declared: str) -> str:
    own = f"{code}_{event}" if event else code
    shared = _STRUCTURES.get(own, own)
    for tables in map(definitions, at_or_after(version)):
        if tables.has_structure(declared):
            return declared
    for tables in map(definitions, [*at_or_after(version), *before(version)]):
        # hl7apy has structures that table 0354 of their version does not (SIU_S13): the table decides.
        for candidate in (own, shared, code) if own in tables.table("0354") else (shared, own, code):
            if tables.has_structure(candidate):
                return candidate
    return declared or own
