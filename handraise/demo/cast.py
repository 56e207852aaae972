"""Who is in the story: Harbourlight's site, and visitors that a seed makes up.  All names are fictitious."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import NamedTuple

SITE = "https://harbourlight.example"
PAGES = {
    "/": "Harbourlight",
    "/product": "Sensors",
    "/product/gateway": "The gateway",
    "/blog/cold-chain-gaps": "Where cold chains break",
    "/blog/summer-transport": "Summer transport",
    "/about": "About us",
    "/case-studies/dairy": "Case study: dairy",
    "/case-studies/vaccines": "Case study: vaccines",
    "/docs/installation": "Installation guide",
    "/docs/calibration": "Calibration guide",
    "/integrations/erp": "ERP integration",
    "/pricing": "Pricing",
    "/compare": "How we compare",
    "/security": "Security",
    "/papers": "Papers",
    "/call-me": "Call me",
    "/careers": "Careers",
    "/careers/engineer": "Engineer, Lisbon",
}
PAPERS = {
    "cold-chain-audit": "Cold-chain audit",
    "sensor-datasheet": "Sensor data sheet",
    "roi-workbook": "ROI workbook",
}
WEBINAR = ("audit-in-an-hour", "An audit in an hour")
FORM = ("sample-kit", "Sample kit request")

_WEBKIT = "(KHTML, like Gecko)"
BROWSERS = (
    f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_WEBKIT} Chrome/142.0.0.0 Safari/537.36",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 {_WEBKIT} Version/19.0 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
)
TELEPHONE = (
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 {_WEBKIT} Version/19.1 "
    "Mobile/15E148 Safari/604.1"
)
CRAWLER = "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"
SCANNER = f"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 {_WEBKIT} HeadlessChrome/142.0.0.0 Safari/537.36"
"""What opens every link of a mail before the mail is delivered."""

_GIVEN = (
    *("Amaia", "Bruno", "Chiara", "Deniz", "Emre", "Freya", "Gustav", "Hanna", "Ines", "Jakub", "Katya", "Lars"),
    *("Maren", "Nuno", "Oskar", "Petra", "Rafael", "Selin", "Tomas", "Ulla", "Vera", "Wiktor", "Yara", "Zeynep"),
)
_FAMILY = (
    *("Almeida", "Berg", "Costa", "Dahl", "Eriksen", "Ferreira", "Gunes", "Holm", "Ivarsson", "Jensen", "Kaya"),
    *("Lindqvist", "Moreau", "Novak", "Oliveira", "Petrov", "Quist", "Rossi", "Silva", "Tanaka", "Vogel", "Weber"),
)
_COMPANIES = (
    *("Brightwater Pharma", "Northfjord Seafood", "Polar Dairy", "Alto Vaccines", "Sunfield Produce", "Medline Sul"),
    *("Isbre Foods", "Vitalis Labs", "Harvest Lane", "Blue Heron Logistics", "Corvo Freight", "Lumen Biotech"),
)


class Person(NamedTuple):
    """A visitor; `email` is what their tracker tells once they have left it somewhere."""

    name: str
    company: str
    email: str | None
    anonymous_id: str
    user_agent: str
    user_id: str | None = None
    """What the site calls them once they have signed in."""

    @property
    def is_bot(self) -> bool:
        """Whether the user agent says so."""
        return self.user_agent in (CRAWLER, SCANNER)


@dataclass(frozen=True)
class Persona:
    """A kind of visitor: their share in 100, and in how many visits they do how much of what."""

    name: str
    share: int
    visits: tuple[int, int]
    pages: tuple[int, int]
    likes: tuple[str, ...]
    """Steps to draw from; see story.STEPS."""
    leaves_email: bool


PERSONAS = (
    Persona("passer-by", 52, (1, 2), (1, 4), ("browse",), False),
    Persona("reader", 20, (2, 4), (2, 6), ("browse", "browse", "research", "search"), False),
    Persona("subscriber", 9, (2, 5), (1, 4), ("browse", "research", "click", "paper"), True),
    Persona("evaluator", 9, (2, 4), (3, 6), ("browse", "research", "intent", "paper", "webinar", "form"), True),
    Persona("applicant", 6, (1, 2), (2, 4), ("browse", "jobs"), False),
    Persona("crawler", 4, (1, 2), (6, 14), ("browse", "research", "intent"), False),
)

ELIF = Person("Elif Demir", "Kestrel Foods", "elif.demir@kestrel-foods.example", "hl-elif", BROWSERS[0])
JONAS = Person("Jonas Vik", "Brightwater Pharma", None, "hl-jonas", BROWSERS[1])
"""Before he says who he is."""
JONAS_EMAIL, JONAS_PHONE = "jonas.vik@brightwater-pharma.example", "+47 22 12 34 56"
JONAS_ASKS = "Call me before Thursday's audit"
MARTA = Person("Marta Lind", "Northfjord Seafood", None, "hl-marta-phone", TELEPHONE)
"""On her telephone; nobody knows yet that it is she."""
MARTA_AT_WORK = MARTA._replace(anonymous_id="hl-marta-laptop", user_agent=BROWSERS[1])
MARTA_ID, MARTA_EMAIL = "marta-lind", "marta.lind@northfjord-seafood.example"
DUNMORE = Person("A mail scanner", "Dunmore Clinics", "office@dunmore-clinics.example", "hl-dunmore", SCANNER)


def signed_in(device: Person) -> Person:
    """Marta on one of her devices, as the site knows her from her sign-in on."""
    return device._replace(user_id=MARTA_ID, email=MARTA_EMAIL)


def make_up(draw: random.Random, number: int, seed: int) -> tuple[Person, Persona]:
    """The visitor with this number."""
    persona = draw.choices(PERSONAS, [each.share for each in PERSONAS])[0]
    name = f"{draw.choice(_GIVEN)} {draw.choice(_FAMILY)}"
    company = draw.choice(_COMPANIES)
    local, domain = name.lower().replace(" ", "."), company.lower().replace(" ", "-")
    email = f"{local}@{domain}.example" if persona.leaves_email else None
    agent = CRAWLER if persona.name == "crawler" else draw.choice(BROWSERS)
    return Person(name, company, email, f"hl-{seed}-{number}", agent), persona
