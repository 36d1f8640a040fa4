"""A message that has been read: segments in the order sent, every field addressable by its HL7 number.

Fields are cut when the message is read; repetitions, components and sub-components when they are asked for,
and escapes are decoded only where the escape character occurs. Nothing here knows data types or message
structures.
"""

from collections.abc import Iterator
from itertools import compress, count

from hl7_gateway.er7.delimiters import Delimiters
from hl7_gateway.er7.escape import decoder

Component = tuple[str, ...]
Repetition = tuple[Component, ...]

NULL = '""'
"""The explicit null of HL7 v2 (v2.8.2 section 2.5.3.1): delete what you hold."""

_ABSENT: tuple[Repetition, ...] = ()


class Segment:
    """One segment; `index` is its 0-based position in the message.

    `fields[n]` is the undecoded text of field n, `fields[0]` the segment's name.
    """

    __slots__ = ("_cut", "charset", "delimiters", "fields", "index", "name")

    def __init__(self, fields: list[str], index: int, delimiters: Delimiters, charset: str) -> None:
        """Take the segment cut at the field separator, its name first; the list is kept, not copied."""
        self.name = fields[0]
        self.index = index
        self.delimiters = delimiters
        self.charset = charset
        self._cut: dict[int, tuple[Repetition, ...]] = {}
        self.fields = fields

    @classmethod
    def header(cls, fields: list[str], delimiters: Delimiters, charset: str) -> "Segment":
        """Return the MSH segment cut at the field separator.

        MSH-1 is the separator itself, and neither it nor MSH-2 is cut by what it declares.
        """
        segment = cls(fields, 0, delimiters, charset)
        fields.insert(1, delimiters.field)
        segment._cut[1] = (((delimiters.field,),),)
        if len(fields) > 2 and fields[2]:  # noqa: PLR2004 - MSH-2
            segment._cut[2] = (((fields[2],),),)
        return segment

    def __repr__(self) -> str:
        """Name and place only: a log must never show what a patient's segment holds."""
        return f"<Segment {self.name} at {self.index}>"

    def raw(self, field: int) -> str:
        """Return the undecoded text of a field, "" when it is absent."""
        fields = self.fields
        return fields[field] if 0 < field < len(fields) else ""

    def repetitions(self, field: int) -> tuple[Repetition, ...]:
        """Return the decoded repetitions of a field, () when it is empty."""
        cut = self._cut.get(field)
        if cut is not None:
            return cut
        fields = self.fields
        raw = fields[field] if 0 < field < len(fields) else ""
        return self.cut(field, raw) if raw else _ABSENT

    def cut(self, field: int, raw: str) -> tuple[Repetition, ...]:
        """Return the decoded repetitions of a filled field behind MSH-2 whose undecoded text is `raw`."""
        # No delimiter is a letter or a digit (read_delimiters refuses such).
        if raw.isalnum():
            return (((raw,),),)
        delimiters = self.delimiters
        subcomponent = delimiters.subcomponent
        # A sender that declares a sub-component separator declares all that precede it in MSH-2.
        if not subcomponent or subcomponent in raw or delimiters.escape in raw:
            cut = self._split_deep(raw)
        elif delimiters.repetition in raw:
            component = delimiters.component
            cut = tuple([tuple(zip(text.split(component))) for text in raw.split(delimiters.repetition)])
        else:
            cut = (tuple(zip(raw.split(delimiters.component))),)
        self._cut[field] = cut
        return cut

    def first(self, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return decoded text of the first repetition, "" when it is absent or the explicit null."""
        fields = self.fields
        raw = fields[field] if field < len(fields) else ""
        if not raw:
            return ""
        if raw.isalnum():
            return raw if component == 1 == subcomponent else ""
        cut = self._cut.get(field)
        if cut is None:
            cut = self.repetitions(field)
        try:
            text = cut[0][component - 1][subcomponent - 1]
        except IndexError:
            return ""
        return "" if text == NULL else text

    def is_null(self, field: int) -> bool:
        """Whether the field is the explicit null `""`."""
        return self.raw(field) == NULL

    def field_count(self) -> int:
        """Return the highest field number present, empty trailing ones included."""
        return len(self.fields) - 1

    def filled(self) -> list[int]:
        """Return the numbers of the fields that are not empty."""
        # The first of them is the segment's name.
        return list(compress(count(), self.fields))[1:]

    @property
    def text(self) -> str:
        """The segment as ER7, without its terminator."""
        fields = self.fields
        if self.name == "MSH":
            fields = [fields[0], *fields[2:]]
        return self.delimiters.field.join(fields)

    def _split_deep(self, raw: str) -> tuple[Repetition, ...]:
        """Cut a field that has escapes or sub-components, or whose sender does not declare all delimiters."""
        delimiters = self.delimiters
        repetition = delimiters.repetition
        texts = raw.split(repetition) if repetition and repetition in raw else (raw,)
        return tuple([self._components(text) for text in texts])

    def _components(self, text: str) -> Repetition:
        delimiters = self.delimiters
        component, subcomponent, escape = delimiters.component, delimiters.subcomponent, delimiters.escape
        if not component or component not in text:
            return (self._parts(text),)
        if (subcomponent and subcomponent in text) or (escape and escape in text):
            return tuple([self._parts(part) for part in text.split(component)])
        # Most repetitions beside one that has sub-components have none.
        return tuple(zip(text.split(component)))

    def _parts(self, text: str) -> Component:
        delimiters = self.delimiters
        subcomponent, escape = delimiters.subcomponent, delimiters.escape
        if escape and escape in text:
            decode = decoder(delimiters, self.charset)
            if subcomponent and subcomponent in text:
                return tuple([decode(part) for part in text.split(subcomponent)])
            return (decode(text),)
        if subcomponent and subcomponent in text:
            return tuple(text.split(subcomponent))
        return (text,)


class Message:
    """One message. `notes` says in words what the reader had to tolerate (never a value of the message)."""

    __slots__ = ("_control_id", "_kind", "_structure", "charset", "delimiters", "notes", "segments")

    def __init__(
        self, segments: list[Segment], delimiters: Delimiters, charset: str, notes: list[str]
    ) -> None:
        """Take at least the MSH segment; `charset` is the name of a Python codec."""
        self.segments = segments
        self.delimiters = delimiters
        self.charset = charset
        self.notes = notes
        self._kind: tuple[str, str] | None = None
        self._structure: str | None = None
        self._control_id: str | None = None

    def __repr__(self) -> str:
        """What kind of message, not whose."""
        return f"<Message {self.code}^{self.event} {self.version}, {len(self.segments)} segments>"

    @property
    def text(self) -> str:
        """The message normalised: each segment ended by one CR, and nothing else."""
        return "".join([segment.text + "\r" for segment in self.segments])

    def first(self, name: str) -> Segment | None:
        """Return the first segment of that name."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        return None

    def all(self, name: str) -> list[Segment]:
        """Return all segments of that name, in order."""
        return [segment for segment in self.segments if segment.name == name]

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def sending_application(self) -> Repetition:
        """MSH-3, an HD."""
        return self._hd(3)

    @property
    def sending_facility(self) -> Repetition:
        """MSH-4, an HD."""
        return self._hd(4)

    @property
    def receiving_application(self) -> Repetition:
        """MSH-5, an HD."""
        return self._hd(5)

    @property
    def receiving_facility(self) -> Repetition:
        """MSH-6, an HD."""
        return self._hd(6)

    @property
    def code(self) -> str:
        """MSH-9.1 ("ADT"); the part before "_" where a sender wrote the structure there ("ADT_A01")."""
        return self._type()[0]

    @property
    def event(self) -> str:
        """MSH-9.2 ("A01"), else EVN-1."""
        event = self._type()[1]
        if event:
            return event
        evn = self.first("EVN")
        return evn.first(1).strip() if evn else ""

    @property
    def control_id(self) -> str:
        """MSH-10."""
        if self._control_id is None:
            self._control_id = self.segments[0].first(10)
        return self._control_id

    @property
    def processing_id(self) -> str:
        """MSH-11.1."""
        return self.header.first(11)

    @property
    def version(self) -> str:
        """MSH-12.1 ("2.5.1")."""
        return self.segments[0].first(12).strip()

    @property
    def structure(self) -> str:
        """The message structure (table 0354): MSH-9.3 where it names one, else the one of code and event."""
        if self._structure is None:
            # hl7apy's tables cost tens of milliseconds to load and are needed only by those who ask for the
            # structure.
            from hl7_gateway.er7.structure import message_structure

            self._structure = message_structure(
                self.version, self.code, self.event, declared=self.header.first(9, 3).strip()
            )
        return self._structure

    def __iter__(self) -> Iterator[Segment]:
        """Iterate over the segments."""
        return iter(self.segments)

    def _hd(self, field: int) -> Repetition:
        repetitions = self.header.repetitions(field)
        return repetitions[0] if repetitions else ()

    def _type(self) -> tuple[str, str]:
        """Return MSH-9.1 and MSH-9.2, cut once: every conversion asks for them several times."""
        if self._kind is not None:
            return self._kind
        header = self.segments[0]
        code, event = header.first(9, 1).strip(), header.first(9, 2).strip()
        if not event and "_" in code:
            code, _, event = code.partition("_")
        self._kind = code, event
        return self._kind
