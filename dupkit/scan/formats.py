"""Tell the type of a file by its first bytes, and an image by its name's extension.

The standard library only: both the search for files and the decode workers import it.
"""

from __future__ import annotations

HEAD_BYTES = 64
"""How many of a file's first bytes :func:`file_format` needs: HEIF lists its brands there."""

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "TIFF", "BMP", "AVIF", "HEIF")
"""The types that dupkit decodes. MPO is a JPEG that holds several pictures."""

IMAGE_EXTENSIONS = frozenset(
    # What dupkit reads.
    b".jpg .jpeg .jpe .jfif .jif .mpo .png .apng .gif .webp .tif .tiff .bmp .dib .avif .avifs .heic .heif .hif"
    # What people call images and dupkit does not read: each gets a row that says so.
    b" .3fr .arw .bpg .cr2 .cr3 .cur .dcm .dds .dng .emf .eps .erf .exr .fits .flc .fli .flif .hdr .icns .ico .iff"
    b" .j2c .j2k .jng .jp2 .jpf .jpx .jxl .jxr .kdc .mng .mrw .nef .nrw .orf .pam .pbm .pcd .pcx .pef .pfm .pgm .pic"
    b" .pict .pnm .ppm .psb .psd .qoi .raf .ras .raw .rgb .rgba .rw2 .sgi .sr2 .srf .srw .svg .svgz .tga .wbmp"
    b" .wmf .x3f .xbm .xcf .xpm".split()
)
"""Lower-case extensions that make a file an image's in people's eyes, read by dupkit or not."""

_SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)

_BMP_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
"""Sizes of the known headers of a BMP: two letters alone would make any text that starts with BM an image."""

_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"})

_OTHERS = (
    (b"8BPS", "PSD"),
    (b"%!PS", "EPS or PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS or PostScript"),
    (b"%PDF", "PDF"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xffO\xffQ", "JPEG 2000"),
    (b"\xff\n", "JPEG XL"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"II\xbc", "JPEG XR"),
    (b"IIU\x00", "camera RAW"),
    (b"IIRO", "camera RAW"),
    (b"IIRS", "camera RAW"),
    (b"MMOR", "camera RAW"),
    (b"FUJIFILM", "camera RAW"),
    (b"FOVb", "camera RAW"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"icns", "ICNS"),
    (b"\x00\x00\x01\x00", "ICO"),
    (b"\x00\x00\x02\x00", "ICO"),
    (b"\x01\xda", "SGI"),
    (b"gimp xcf", "XCF"),
    (b"SIMPLE  =", "FITS"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
    (b"PK\x03\x04", "ZIP"),
    (b"Rar!", "RAR"),
    (b"\x1f\x8b", "gzip"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a script"),
    (b"/* XPM */", "XPM"),
    (b"#define", "XBM"),
    *((b"P%d" % kind + space, "PNM") for kind in range(1, 8) for space in (b"\n", b" ", b"\r", b"\t")),
    (b"PF\n", "PFM"),
    (b"Pf\n", "PFM"),
)


def extension(path: bytes) -> bytes:
    """Return the extension of a path's last part, in lower case, with its dot; empty where there is none.

    Examples
    --------
    >>> extension(b"2019.jpg/IMG.JPG"), extension(b"2019.jpg/readme"), extension(b".jpg")
    (b'.jpg', b'', b'')
    """
    name = path.rpartition(b"/")[2]
    dot = name.rfind(b".")
    return name[dot:].lower() if dot > 0 else b""


def file_format(head: bytes) -> str:
    """Return which of :data:`FORMATS` a file's first bytes announce; '' where it is none.

    Parameters
    ----------
    head : bytes
        The first :data:`HEAD_BYTES` of the file, or all of a shorter one.

    Examples
    --------
    >>> file_format(b"GIF89a..."), file_format(b"%!PS-Adobe"), file_format(b"RIFF....WAVE")
    ('GIF', '', '')
    """
    for signature, name in _SIGNATURES:
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        # The first four bytes are the size of the box; a brand stands at each fourth byte, the version at 12.
        end = min(max(int.from_bytes(head[:4], "big"), 16), len(head))
        brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
        if any(brand in _AVIF_BRANDS for brand in brands):
            return "AVIF"
        if any(brand in _HEIF_BRANDS for brand in brands):
            return "HEIF"
    return ""


def is_image(head: bytes) -> bool:
    """Return whether the first bytes of a file without an image's extension make it an image all the same.

    Stricter than :func:`file_format` for BMP, whose signature is two letters.

    Examples
    --------
    >>> is_image(b"BMW is a car maker, and this is a text")
    False
    """
    found = file_format(head)
    if found == "BMP":
        return len(head) >= 18 and int.from_bytes(head[14:18], "little") in _BMP_HEADER_SIZES
    return bool(found)


def other_type(head: bytes) -> str:
    """Return the name of a type that dupkit does not read, by its first bytes, for the reason that people see.

    Examples
    --------
    >>> other_type(b"%!PS-Adobe-3.0 EPSF"), other_type(b"abc"), other_type(bytes(64))
    ('EPS or PostScript', 'text', 'unknown type')
    """
    for signature, name in _OTHERS:
        if head.startswith(signature):
            return name
    if head[4:6] in (b"\x11\xaf", b"\x12\xaf"):
        return "FLI"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        low = text.lower()
        return "SVG" if b"<svg" in low or low.startswith(b"<?xml") else "HTML or XML"
    if head and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head) and _is_utf8(head):
        return "text"
    return "unknown type"


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character that the end of `head` cuts is no fault of the file.
        return error.reason == "unexpected end of data" and error.start > 0
    return True
