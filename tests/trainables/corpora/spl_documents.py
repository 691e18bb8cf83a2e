"""Labels in SPL XML, with invented drugs and texts."""

import io
import zipfile

PK, CHAPTER, UNCLASSIFIED = "43682-4", "34090-1", "42229-5"


def section(body="", *, code=UNCLASSIFIED, title=None, nested=()):
    heading = f"<title>{title}</title>" if title else ""
    text = f"<text>{body}</text>" if body else ""
    components = "".join(f"<component>{inner}</component>" for inner in nested)
    return f'<section><id root="x"/><code code="{code}"/>{heading}{text}{components}</section>'


def ingredient(name, moiety=None, class_code="ACTIB"):
    inner = (
        f"<activeMoiety><activeMoiety><name>{moiety}</name></activeMoiety></activeMoiety>" if moiety else ""
    )
    return (
        f'<ingredient classCode="{class_code}"><ingredientSubstance><name>{name}</name>{inner}'
        f"</ingredientSubstance></ingredient>"
    )


def document(*sections, drug="Velorin", set_id=None, version=1, ingredients=None, namespace=True):
    """Return a label; ``drug`` is its moiety unless ``ingredients`` says otherwise."""
    substances = ingredient(f"{drug} sodium", drug) if ingredients is None else ingredients
    xmlns = ' xmlns="urn:hl7-org:v3"' if namespace else ""
    body = "".join(f"<component>{inner}</component>" for inner in sections)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<document{xmlns}><id root="id-{set_id or drug}-{version}"/>'
        f'<effectiveTime value="20240101"/><setId root="set-{set_id or drug}"/><versionNumber value="{version}"/>'
        f"<component><structuredBody><component><section>"
        f'<code code="48780-1"/><subject><manufacturedProduct><manufacturedProduct><name>{drug}ex</name>'
        f"{substances}{ingredient('Water', class_code='IACT')}</manufacturedProduct></manufacturedProduct></subject>"
        f"</section></component>{body}</structuredBody></component></document>"
    )


def pk(body, **more):
    return section(body, code=PK, title="12.3 Pharmacokinetics", **more)


def p(text):
    return f"<paragraph>{text}</paragraph>"


def bold(text):
    return f'<content styleCode="bold">{text}</content>'


def underlined(text):
    return f'<content styleCode="underline">{text}</content>'


def italic(text):
    return f'<content styleCode="italics">{text}</content>'


def write(path, xml):
    path.write_text(xml, encoding="utf-8")
    return path


def zipped(members):
    """Return the bytes of a zip; values are bytes or text."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
