"""XML of strangers, read without entities, document types or anything outside; and text fit to be written as XML."""

import re
from io import BytesIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from locstudio.interchange.rows import BadRow

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _UNWRITABLE.sub("\ufffd", text)


def parse_xml(content: bytes) -> Element:
    """The root of a small document.

    Raises:
        BadRow: it is not XML, or has what is never read.
    """
    try:
        root: Element = parse(BytesIO(content), forbid_dtd=True).getroot()
    except DefusedXmlException as error:
        raise BadRow("it brings a document type or entities of its own, which are never read") from error
    except ParseError as error:
        raise BadRow("it is no valid XML", str(error)) from error
    except (LookupError, ValueError) as error:
        raise BadRow("its encoding is not known; save it as UTF-8", str(error)) from error
    return root
