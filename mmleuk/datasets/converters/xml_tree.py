"""Parsing XML that somebody else wrote, without what an attacker could put into it."""

from __future__ import annotations

from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate

from mmleuk.errors import UserError


def parse_xml(content: bytes, where: str) -> Element:
    """Root element of an XML document.

    A document type is refused: it is where entities are declared, which can grow to gigabytes or read other files.
    Annotations have none.

    Args:
        content: the file's bytes.
        where: the file, for messages.

    Raises:
        UserError: broken XML, with line and column, an encoding that can't be read, or a document type.

    Example:
        >>> parse_xml(b'<a><b>1</b></a>', 'a.xml').findtext('b')
        '1'
    """
    builder = TreeBuilder()
    parser = ParserCreate()

    def refuse(*args: object) -> NoReturn:
        raise UserError(f'{where}: line {parser.CurrentLineNumber}: has a document type (<!DOCTYPE>), which can hold '
                        'entities that grow without end or read other files; remove it')

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except ExpatError as error:
        raise UserError(f'{where}: line {error.lineno}, column {error.offset + 1}: no valid XML ({error}); mend or '
                        'remove the file') from error
    except UserError:  # is a ValueError
        raise
    except (LookupError, ValueError) as error:  # such as GBK, which expat cannot read
        raise UserError(f'{where}: its encoding cannot be read ({error}); save the file as UTF-8') from error
    return builder.close()
