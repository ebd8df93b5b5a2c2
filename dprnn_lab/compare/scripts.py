"""The JavaScript of the components, packed for a page.

Each output carries the script that it needs: a notebook may be opened at any section, and a front end builds the
outputs that come into view. Packed it takes about 10 kB, and a page that has the component already ignores it.
"""

import base64
import gzip
import zlib
from functools import cache
from importlib import resources

__all__ = ["script", "source"]

# A browser unpacks and runs the script unless the page has the element. Where that fails, the plain players stay.
LOADER = (
    '<script>(async()=>{{if(customElements.get("{element}"))return;'
    'const b=Uint8Array.from(atob("{packed}"),c=>c.charCodeAt(0)),'
    's=new Blob([b]).stream().pipeThrough(new DecompressionStream("gzip"));'
    'document.head.append(Object.assign(document.createElement("script"),{{textContent:await new Response(s).text()}}))'
    "}})()</script>"
)
FILES = {"dprnn-player": ("engine.js", "player.js"), "dprnn-blind-test": ("engine.js", "blind_test.js")}


@cache
def source(element: str) -> str:
    """The script that defines a custom element, without comments and indentation.

    Comments are lines that begin with ``//``: the files keep to that.
    """
    lines = []
    for name in FILES[element]:
        text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
        lines += [
            line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("//")
        ]
    return "\n".join(lines) + "\n"


@cache
def script(element: str) -> str:
    """A ``<script>`` that defines a custom element where the page has none of its name yet."""
    packer = zlib.compressobj(
        9, zlib.DEFLATED, 31
    )  # gzip without a time: the same script packs to the same text
    packed = packer.compress(source(element).encode()) + packer.flush()
    assert gzip.decompress(packed).decode() == source(element)
    return LOADER.format(element=element, packed=base64.b64encode(packed).decode())
