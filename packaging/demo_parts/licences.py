"""Whose work the demo is made of, under which licences."""

import shutil
from pathlib import Path
from typing import Any

from demo_parts.stamps import Stamp

AUTHORS_OF_PHOTOS = {
    "Blinds.jpg": "2008 Lennart Poettering; 2008 Andrea Cimitan",
    "Dune.jpg": "2007 Marco Cogoni; 2008 Hylke Bons",
    "FreshFlower.jpg": "2005 Jens Ansorg",
    "Garden.jpg": "2008 Charles Barbin",
    "GreenMeadow.jpg": "2005 Timothy Schellhase; 2008 Lapo Calamandrei",
    "LadyBird.jpg": "2008 Charles Barbin",
    "RainDrops.jpg": "2008 “blackcombwhistler07”",
    "Storm.jpg": "2008 Sergey Nazarov",
    "TwoWings.jpg": "2008 Charles Barbin; 2008 Hylke Bons",
    "Wood.jpg": "2008 Jean-François Fortin Tam",
    "YellowFlower.jpg": "2008 Charles Barbin",
}


def credit(names: str, who: str) -> dict[str, str]:
    """The same credit for several stamps."""
    return dict.fromkeys(names.split(), who)


# Contributors as named by upstream (CHANGES.txt and CONTRIBUTORS.txt of Tux Paint Stamps), by the stamp's short name.
CHILDSPLAY = "Childsplay, 2002-2005 Stas Zytkiewicz; adapted by Pere Pujal i Carabantes"
PERE = "Pere Pujal i Carabantes (GPL v2 or later)"
CAROLINE = "Caroline Ford (offered under GFDL, CC BY-SA and GPL; taken under the GPL)"
KENDRICK = "Bill Kendrick"
GOERNER = "Chris Goerner"
PECK = "Akkana Peck"
CAHALAN = "Albert Cahalan"
CREDITS: dict[str, str] = {
    **credit(
        "bear beaver blackbird bull camel caribou cow crow cuckoo deer doe dog dolphin dromedary duck "
        "elephant fox frog gander"
        "giraffe goat grasshopper hen hornet horse lark lion marmot mountaingoat mouse nandou orca owl "
        "penguin pig rabbit ram"
        "rooster seagull squirrel tiger tucan turkey vulture whale xanthia zebra fly",
        CHILDSPLAY,
    ),
    **credit("frog-1 mantis european-bear birch holm_oak cep cep-1 cep-2 rabbit-2 dumper", PERE),
    **credit(
        "drake chicken_profile cow_white sheep sheep_lamb rabbit_little pig_golden pig_golden2 garbagetruck daffodil",
        CAROLINE,
    ),
    **credit(
        "magellanic_penguin ostrich peacock pink_flamingo tiger_sumatran crowned_crane",
        f"{KENDRICK} (San Francisco Zoo)",
    ),
    **credit("lemon mandarine yellow-flower pigface dingo little-penguin rainbow-lorikeet silver-gull", GOERNER),
    **credit("flower1 flower10 flower2 flower3 flower5 flower8 flower9", PECK),
    **credit("liberia-palm tree336 balloon360 soccer football indycar 747", CAHALAN),
    **credit(
        "bluegroper butterflyfish clownfish coraltrout dolphinfish lionfish stripedfish pigeon",
        "John O’Sullivan (birds and fish)",
    ),
    **credit("seahorse", "US National Oceanic and Atmospheric Administration (public domain)"),
    **credit("broccoli", "Steve Karg (public domain)"),
    **credit("corn", "Steve Karg"),
    **credit("basketball", "Wikimedia user reisio (public domain); adapted by Caroline Ford"),
    **credit("cricketball", "Wikimedia user Albinomonkey (public domain); adapted by Caroline Ford"),
    **credit("tennis_ball", "Wikimedia Commons (no usage restrictions); adapted by Caroline Ford"),
    **credit("chineseJunk walnutBoat", "Jim Trice"),
    **credit("sedan sportscar2 truck", "GOVIA project, Justin Zeigler"),
    **credit("potato", "George Wong"),
}

HEAD = """# Licences of the demo's pictures

The scenes in `images/` are composed by `packaging/compose_demo.py` from photographic cut-outs of *Tux Paint Stamps*
and from photographs of *MATE Backgrounds*. They are a derivative of both and are therefore **not** under
LocStudio's Apache-2.0 licence:

- **`images/` and the masks in `annotations.json`: GNU General Public License, version 2** (`licences/GPL-2.txt`),
  because the cut-outs are under the GPL-2; the backgrounds are under the GPL-2 or later.
- The phrases, captions, boxes and class names in `annotations.json`, and the script itself, are LocStudio's own
  work (Apache-2.0).

Every picture was changed: cut-outs were cleaned at their edges, resized, mirrored, turned, relit, partly given
another colour, and put into other surroundings with painted shadows, grass and water. There is no warranty.

The corresponding source is the script in this repository and the two Debian source packages `tuxpaint-stamps`
(2022.06.04-1) and `mate-backgrounds` (1.26.0-1), both in the Debian archive. Whoever passes the pictures on passes
on this file, the licence text, and the way to that source.

## What was left out

Debian gives the GPL-2 for all of Tux Paint Stamps. Upstream's own notes (CHANGES.txt, CONTRIBUTORS.txt) credit some
stamps under the GNU Free Documentation License or a Creative Commons licence alone, and a few come from a stock
photo site; none of those is used. The pictures of `mate-backgrounds` under CC BY-SA 4.0 cannot be joined with the
GPL-2 and are not used either.

For part of the fruit, vegetables, tools, flowers and cars upstream names no person per stamp; it lists Bill Kendrick,
the GOVIA project (Justin Zeigler), Coco Ranch, MarketplaceFood.com, Jen and Ed Collins and others for such pictures
together.

"""


def info() -> dict[str, Any]:
    """The block "info" of the COCO document."""
    return {
        "description": "LocStudio demo: composed scenes with exact boxes, masks, phrases and captions",
        "version": "1",
        "year": 2026,
        "contributor": "LocStudio; cut-outs: Tux Paint Stamps contributors; backgrounds: MATE Backgrounds authors",
        "note": "Composed pictures, a derivative under the GPL-2; see LICENCES.md",
    }


def licence_rows() -> list[dict[str, Any]]:
    """The block "licenses" of the COCO document."""
    return [
        {
            "id": 1,
            "name": "GNU General Public License, version 2",
            "url": "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html",
        }
    ]


def write(out: Path, stamps: list[Stamp], photos: list[str]) -> None:
    """Write LICENCES.md and the licence text beside the pictures."""
    lines = [HEAD, "## Cut-outs (Tux Paint Stamps, GPL-2)\n"]
    lines.append(
        "Copyright 2002-2022 Bill Kendrick and the contributors of Tux Paint Stamps, named where upstream does:\n"
    )
    lines.append("| stamp | upstream's credit |\n|---|---|")
    lines += [f"| `{stamp.path}` | {CREDITS.get(stamp.name, 'Tux Paint Stamps contributors')} |" for stamp in stamps]
    lines.append("\n## Backgrounds (MATE Backgrounds, GPL-2 or later)\n")
    lines.append("| photograph | copyright |\n|---|---|")
    lines += [f"| `nature/{photo}` | {AUTHORS_OF_PHOTOS[photo]} |" for photo in photos]
    lines.append("\nAll else (skies, hills, sand, snow, water, roads, boards, halls) is synthesised by the script.")
    (out / "LICENCES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (out / "licences").mkdir(exist_ok=True)
    shutil.copyfile("/usr/share/common-licenses/GPL-2", out / "licences" / "GPL-2.txt")
