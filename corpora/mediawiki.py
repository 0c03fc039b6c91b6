"""Pages of a MediaWiki XML dump (``jawiki-latest-pages-articles.xml.bz2``), streamed: articles only, as wikitext.

Follows https://www.mediawiki.org/wiki/Help:Export . No entity of a document type is ever read: a dump declares none.
"""

from collections.abc import Callable, Iterator
from typing import Any, NoReturn
from xml.parsers import expat

from corpora.encodings import LONGEST
from corpora.reading import RawDocument
from corpora.wikitext import is_redirect
from stage.errors import InputError
from stage.files import reading

_BLOCK = 1 << 18
_FIELDS = {
    "mediawiki/page/title": "title",
    "mediawiki/page/ns": "namespace",
    "mediawiki/page/id": "page_id",
    "mediawiki/page/redirect": "redirect",
    "mediawiki/page/revision/id": "revision_id",
    "mediawiki/page/revision/timestamp": "timestamp",
    "mediawiki/page/revision/model": "model",
    "mediawiki/page/revision/text": "text",
}


def read_dump(path: str) -> Iterator[RawDocument]:
    """The articles of a dump in order, compressed or not; the last revision of each, without redirects.

    The key is the page's number. Raises InputError, naming byte and line, where the file breaks off or is no dump, after the
    pages before that place.
    """
    pages = _Pages(path)
    index = 0
    with reading(path) as stream:
        # what was decompressed before a compressed stream breaks off comes first
        read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        done = False
        while not done:
            block = read(_BLOCK)
            done = not block
            failure = pages.feed(block)
            ready, pages.ready = pages.ready, []
            for page in ready:
                yield RawDocument(index, page.pop("text"), page, str(page.get("page_id", "")), markup="wikitext")
                index += 1
            if failure:
                raise failure


class _Pages:
    """The pages that a parser of XML has seen the end of."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.place: list[str] = []
        self.page: dict[str, str] = {}
        self.field = ""
        self.pieces: list[str] = []
        self.size = 0
        self.ready: list[dict[str, Any]] = []
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.buffer_size = 1 << 16
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._refuse

    def feed(self, block: bytes) -> InputError | None:
        """Parse a block, the last one if it is empty; what went wrong is returned, for whole pages may stand before it."""
        try:
            self.parser.Parse(block, not block)
        except expat.ExpatError as error:
            return self._error(expat.ErrorString(error.code))
        except (ValueError, LookupError) as error:  # an encoding that the parser does not take
            return self._error(f"{error}: dumps are UTF-8")
        except InputError as error:
            return error
        return None

    def _error(self, what: str) -> InputError:
        byte, line = max(self.parser.ErrorByteIndex, 0), self.parser.ErrorLineNumber
        return InputError(f"{self.path}: is not a whole MediaWiki dump (byte {byte}, line {line}: {what})")

    def _refuse(self, *_: object) -> NoReturn:
        raise self._error("a document type, which dumps do not have")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if not self.place and name != "mediawiki":
            raise self._error(f"the first element is <{name[:40]}>, not <mediawiki>")
        self.place.append(name)
        if name == "page" and len(self.place) == 2:
            self.page = {}
        if len(self.place) in (3, 4):
            self.field = _FIELDS.get("/".join(self.place), "")
            self.pieces, self.size = [], 0
            self.parser.CharacterDataHandler = self._characters if self.field else None

    def _characters(self, text: str) -> None:
        self.pieces.append(text)
        self.size += len(text)
        if self.size > LONGEST:  # MediaWiki allows pages of two million bytes
            raise self._error(f"a {self.field} of more than {LONGEST} characters")

    def _end(self, name: str) -> None:
        if self.field:
            self.page[self.field] = "".join(self.pieces)
            self.field = ""
            self.parser.CharacterDataHandler = None
        if name == "page" and len(self.place) == 2:
            self._finish()
        self.place.pop()

    def _finish(self) -> None:
        page = self.page
        text = page.get("text", "")
        article = page.get("namespace", "0").strip() == "0" and page.get("model", "wikitext") == "wikitext"
        if article and "redirect" not in page and not is_redirect(text):
            kept: dict[str, Any] = {"text": text, "title": page.get("title", "")}
            kept |= {
                name: int(page[name])
                for name in ("page_id", "revision_id")
                if page.get(name, "").isdecimal() and len(page[name]) < 19
            }
            self.ready.append(kept | ({"timestamp": page["timestamp"]} if "timestamp" in page else {}))
