"""Compression of short JSON texts before they are encrypted: DEFLATE with a preset dictionary.

Ciphertext does not compress, and most bodies are below the 2 kB from which PostgreSQL compresses anything.
DEFLATE (RFC 1951, https://www.rfc-editor.org/rfc/rfc1951) at level 1 is shorter here than Zstandard at 1 or
3, and opens four times as fast, since `zstd` makes its context anew for each text (5 against 24 us). A
dictionary of R4's own words makes most bodies a third to a half shorter again, at no cost in time.

A dictionary is part of what is stored: it is never changed, another one gets another number.
"""

import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

NONE: Final = 0
R4: Final = 1
"""The number of the dictionary that new texts are compressed with."""

_LEVEL: Final = 1
# Without header and checksum: the tag of the cipher says whether a text is whole.
_RAW: Final = -15
_MEMORY: Final = 8

# Elements, systems and codes of R4 (https://hl7.org/fhir/R4/) as JSON writes them; what most resources have
# comes last, which DEFLATE refers to by the shortest distances.
_R4_WORDS: Final = (
    '"lifecycleStatus":"active","intent":"order","dispenseRequest":{"dosageInstruction":[{"timing":{"repeat":'
    '{"frequency":1,"period":1,"periodUnit":"d"}},"doseAndRate":[{"doseQuantity":{"medicationCodeableConcept"'
    ':{"coding":[{"http://www.nlm.nih.gov/research/umls/rxnorm","authoredOn":"requester":{"reference":"recorder"'
    ':"onsetDateTime":"abatementDateTime":"clinicalStatus":{"coding":[{"system":"http://terminology.hl7.org/'
    'CodeSystem/condition-clinical","verificationStatus":"confirmed"http://snomed.info/sct","http://hl7.org/fhir/'
    'sid/icd-10","insurance":[{"sequence":1,"focal":true,"coverage":{"item":[{"productOrService":{"net":{"value":'
    '"currency":"CNY"},"adjudication":[{"category":{"amount":"provider":{"priority":"outcome":"complete","created":"'
    '"contentType":"application/","data":"url":"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/'
    '"valueCode":"valueCodeableConcept":{"valueString":"valueBoolean":"interpretation":[{"referenceRange":[{"low":{'
    '"high":{"component":[{"result":[{"specimen":{"basedOn":[{"partOf":[{"location":[{"participant":[{"individual":{'
    '"class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB","display":"ambulatory"},"type":'
    '[{"coding":[{"serviceProvider":{"reference":"Organization/"period":{"start":"end":"+08:00"},"text":{"status":'
    '"generated","div":"<div xmlns=\\"http://www.w3.org/1999/xhtml\\">"maritalStatus":{"managingOrganization":{'
    '"active":true,"name":[{"use":"official","text":"family":"given":["telecom":[{"system":"phone","value":"use":'
    '"mobile"}],"gender":"male","female","birthDate":"address":[{"use":"home","line":["city":"district":"postalCode":'
    '"country":"CN"}],"contained":[{"note":[{"text":"performer":[{"reference":"Practitioner/"display":"issued":"'
    '"effectiveDateTime":"valueQuantity":{"value":"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"'
    '"category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"laboratory"'
    '"identifier":[{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"MR"}]},'
    '"system":"http://"value":"status":"finished","final","encounter":{"reference":"Encounter/"},"patient":{'
    '"subject":{"reference":"Patient/"},"code":{"coding":[{"system":"http://loinc.org","code":"display":"}],"text":"},'
    '{"resourceType":"","id":"","meta":{"versionId":"1","lastUpdated":"20","profile":["http://hl7.org/fhir/'
    'StructureDefinition/"]},'
)

DICTIONARIES: Final[Mapping[int, bytes]] = MappingProxyType({R4: _R4_WORDS.encode()})


def compress(text: bytes, dictionary: int = R4) -> bytes:
    """Return `text` compressed with the dictionary of that number."""
    made = zlib.compressobj(
        _LEVEL, zlib.DEFLATED, _RAW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, DICTIONARIES[dictionary]
    )
    return made.compress(text) + made.flush()


def decompress(compressed: bytes, dictionary: int) -> bytes:
    """Return the text; raises ValueError for what `compress` did not make."""
    made = zlib.decompressobj(_RAW, DICTIONARIES[dictionary])
    try:
        text = made.decompress(compressed)
    except zlib.error as error:
        raise ValueError("The text is not compressed so") from error
    if not made.eof or made.unused_data:
        raise ValueError("The compressed text is not whole")
    return text
