"""Parse XML from strangers: no DTD that declares anything, no entities, no external references, limited depth."""

from __future__ import annotations

from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from trainables.errors import ConfigurationError

MAX_DEPTH = 150  # labels reach about 30


class _TooDeep(Exception):
    pass


class _LimitedBuilder(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _TooDeep
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


class _Parser(DefusedXMLParser):  # type: ignore[misc]
    """Lets a DOCTYPE pass that declares nothing: ``<!DOCTYPE document>``."""

    def defused_start_doctype_decl(
        self, name: str, sysid: str | None, pubid: str | None, has_internal_subset: int
    ) -> None:
        if sysid or pubid or has_internal_subset:
            super().defused_start_doctype_decl(name, sysid, pubid, has_internal_subset)


def parse_xml(content: bytes, where: str) -> Element:
    """Return the root element of a document.

    Parameters
    ----------
    content
        The document; its encoding is what its byte order mark or declaration says.
    where
        Named in errors.

    Raises
    ------
    ConfigurationError
        For XML that is not well-formed, with its line; and for a DTD that declares anything or lies elsewhere,
        entities, external references or elements nested deeper than :data:`MAX_DEPTH`.
    """
    parser = _Parser(target=_LimitedBuilder(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise ConfigurationError(
            f"{where}: refused, it has a {type(error).__name__.removesuffix('Forbidden')} declaration ({error}); "
            f"labels need none."
        ) from error
    except _TooDeep as error:
        raise ConfigurationError(
            f"{where}: refused, its elements are nested deeper than {MAX_DEPTH}."
        ) from error
    except ParseError as error:
        raise ConfigurationError(
            f"{where}, line {error.position[0]}: not well-formed XML ({error})."
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that does not exist or does not fit
        raise ConfigurationError(f"{where}: cannot be decoded ({error!s:.200}).") from error
    return root


def local_name(element: Element) -> str:
    """Return an element's name without its namespace; comments and the like have none."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def child(element: Element, name: str) -> Element | None:
    """Return the first child of a name, whatever its namespace."""
    return next((inner for inner in element if local_name(inner) == name), None)
