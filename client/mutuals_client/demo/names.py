"""Words to make invented people from."""

from __future__ import annotations

# By country (ISO 3166). Some names are here for what they do to careless software: umlauts, apostrophes, hyphens.
GIVEN: dict[str, tuple[str, ...]] = {
    "DE": (
        "Lena", "Jürgen", "Anke", "Björn", "Käthe", "Matthias", "Sören", "Ulrike", "Götz", "Wiebke", "Torsten", "Zoë",
        "Hannes", "Mareike", "Rüdiger", "Svenja",
    ),
    "FR": (
        "Chloé", "François", "Anaïs", "Jérôme", "Maëlle", "Benoît", "Hélène", "Loïc", "Noémie", "Thibault", "Zoé",
        "Rémi", "Solène", "Gaël", "Inès", "Mathéo",
    ),
    "GB": (
        "Imogen", "Rhys", "Niamh", "Callum", "Siân", "Alistair", "Freya", "Gethin", "Maisie", "Rory", "Poppy",
        "Duncan", "Bronwen", "Ewan", "Tamsin", "Jude",
    ),
    "US": (
        "Madison", "Tyler", "Jaylen", "Brooke", "Mateo", "Savannah", "Hunter", "Aaliyah", "Wyatt", "Peyton", "Diego",
        "Skyler", "Logan", "Renée", "Kai", "Dakota",
    ),
    "SE": ("Åsa", "Göran", "Märta", "Linnéa", "Håkan", "Örjan", "Ebba", "Nils"),
    "AU": ("Matilda", "Lachlan", "Bindi", "Jarrah", "Kirra", "Angus", "Tahlia", "Heath"),
}  # fmt: skip

FAMILY: dict[str, tuple[str, ...]] = {
    "DE": (
        "Großkopf", "von Bergwald", "Müllerstein", "Öhlbach", "Tannhöfer", "Weißbrodt", "Kürschner", "Lindwurm",
        "Schäferling", "Brückenau", "Nußdorf", "Ährenfeld", "Holm-Petersen", "Jägerfeld", "Quellmann", "Rübsam",
    ),
    "FR": (
        "Beauvallon", "d'Aubrac", "Lefèvrier", "Châtaignier", "de la Brière", "Grandpré", "Hirondel", "Le Floc'h",
        "Montferré", "Noirclerc", "Peyrebrune", "Queyrel", "Rochefière", "Saint-Aubier", "Tournesac", "Vallonier",
    ),
    "GB": (
        "Ashcombe", "O'Brannigan", "Thistlewood", "Penhallow", "McAllardyce", "Brackenbury", "Fothergale", "Llewarch",
        "Hathersage", "Quillfeather", "Ravensworth", "Smythe-Cole", "Tregarth", "Underhay", "Wetherly", "Yarrowdale",
    ),
    "US": (
        "Blackwood-Reyes", "Castellanos", "Delacroix", "Everhartt", "Fairweather", "Goldenrod", "Hollowell",
        "Ironside", "Juniper", "Kingsolver", "Lakeshore", "Merriweather", "Northrup", "Oakhurst", "Pinecrest",
        "Redfern",
    ),
    "SE": ("Björkskog", "Ängsmark", "Östersjö", "Lindhjelm", "Fjällström", "Granhök"),
    "AU": ("Wattlebird", "Ironbark", "Coolabah", "Saltbush", "Redgum", "Banksia"),
}  # fmt: skip

CITIES: dict[str, tuple[str, ...]] = {
    "DE": ("Köln", "Lübeck", "Göttingen", "Frankfurt (Oder)", "Halle/Saale", "München"),
    "FR": ("Saint-Étienne", "Orléans", "L'Haÿ-les-Roses", "Besançon", "Nîmes", "Lyon"),
    "GB": ("Stoke-on-Trent", "Ynys Môn", "King's Lynn", "Leeds", "Glasgow", "Bath"),
    "US": ("Springfield", "Winston-Salem", "Coeur d'Alene", "Cañon City", "St. Paul", "Portland"),
    "SE": ("Malmö", "Göteborg", "Örebro"),
    "AU": ("Alice Springs", "Hobart", "Wagga Wagga"),
}

# Notes as people leave them in a CRM: what a reader of CSV files has to survive.
NOTES = (
    "Prefers e-mail, please don't call",
    'Said: "never again before 9 am"',
    "Allergic to latex; see ticket 4711",
    "First line\nsecond line, with a comma\n\nand a blank one",
    "🚲 loves gravel 🏔️",
    "=SUM(A1:A9)",
    "Met at the fair in Zürich – call back",
    "\tindented by a tab",
    "Größe 44, Farbe »moos«",
    "n/a",
)

EMPLOYERS = (
    "alpenblick", "blaufuchs", "cordeliers", "dreizack", "eulenhof", "fontaine", "gipfelwerk", "hafenlicht",
    "isarkiesel", "jolimont", "kranich", "loupgris", "moorhen", "nebelhorn", "oriel", "pinsonniere", "quarzwerk",
    "rotmilan", "silex", "tilleul", "uferweg", "vaillant-fils", "waldkauz", "yonder", "zirbel",
)  # fmt: skip
