"""The elements of a CVAT file one by one, in bounded memory, by a parser that knows neither entities nor DTDs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from locstudio.domain.errors import BadInput
from locstudio.domain.text import shown

_CHUNK = 1 << 16
_MAX_SILENCE = 4 << 20
"""Bytes without an element.  More is no annotation, and costs the parser time that grows with its square."""
_MAX_DEPTH = 16
_MAX_PARTS = 10_000


class CvatElements:
    """What is in a CVAT file, from front to back.  ``progress`` is called with bytes done and bytes in all."""

    def __init__(self, path: Path, progress: Callable[[int, int], None] | None = None) -> None:
        self._path = path
        self._progress = progress
        self._name = shown(path.name)

    def __iter__(self) -> Iterator[tuple[Element | None, Element | None]]:
        """An image and None where it begins; an image and each of its parts; None and each label of the file's head.

        Raises:
            BadInput: the file cannot be read, is broken XML, or no CVAT file for images.
        """
        try:
            with open(self._path, "rb") as file:
                yield from self._walk(_Pieces(file, self._name, self._path.stat().st_size, self._progress))
        except OSError as error:
            raise BadInput(f"{self._name} cannot be read: {(error.strerror or 'unknown error').lower()}.") from error
        except DefusedXmlException as error:
            raise BadInput(
                f"{self._name} brings a document type or entities of its own, which are never read."
            ) from error
        except ParseError as error:
            raise BadInput(f"{self._name} is no valid XML: {error}.") from error
        except (LookupError, ValueError) as error:
            raise BadInput(f"{self._name} has an encoding that is not known; save it as UTF-8.") from error

    def _walk(self, pieces: "_Pieces") -> Iterator[tuple[Element | None, Element | None]]:
        open_elements: list[Element] = []
        for event, element in iterparse(pieces, ("start", "end"), forbid_dtd=True):
            pieces.since_element = 0
            if event == "start":
                self._check(open_elements, element)
                open_elements.append(element)
                if len(open_elements) == 2 and element.tag == "image":
                    yield element, None
                continue
            open_elements.pop()
            within = [parent.tag for parent in open_elements]
            if within == ["annotations", "image"]:
                yield open_elements[1], element
            elif element.tag == "label" and within[:2] == ["annotations", "meta"]:
                yield None, element
            is_part_of_what_comes = (within[1:2] == ["image"] and len(within) > 2) or "label" in within
            if within and not is_part_of_what_comes:
                open_elements[-1].remove(element)  # what was read does not pile up

    def _check(self, parents: list[Element], element: Element) -> None:
        if not parents and element.tag != "annotations":
            raise BadInput(f"{self._name} begins with <{shown(str(element.tag), 60)}>; a CVAT file is <annotations>.")
        if len(parents) == 1 and element.tag == "track":
            raise BadInput(f'{self._name} holds tracks of a video; export it from CVAT as "CVAT for images 1.1".')
        if len(parents) >= _MAX_DEPTH:
            raise BadInput(f"{self._name} is nested too deeply for a CVAT file.")
        if parents and len(parents[-1]) > _MAX_PARTS:
            raise BadInput(f"{self._name} has more than {_MAX_PARTS} parts in one element.")


class _Pieces:
    """A file as the parser reads it, which looks at an unfinished element anew with every piece."""

    def __init__(self, file: BinaryIO, name: str, size: int, progress: Callable[[int, int], None] | None) -> None:
        self._file = file
        self._name = name
        self._size = size
        self._progress = progress
        self.since_element = 0

    def read(self, _size: int = -1) -> bytes:
        piece = self._file.read(_CHUNK)
        self.since_element += len(piece)
        if self.since_element > _MAX_SILENCE:
            raise BadInput(f"{self._name} has {_MAX_SILENCE >> 20} MB without an element; that is no annotation.")
        if self._progress:
            self._progress(self._file.tell(), self._size)
        return piece
