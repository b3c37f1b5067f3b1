"""From the README to a campaign list at each of two companies, by what is printed alone."""

from __future__ import annotations

import re
import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from secrets import choice
from string import ascii_lowercase

from first_day.exports import write_hubspot, write_salesforce
from first_day.people import Person, Scene
from first_day.terminal import Terminal, Warm

README = Path(__file__).parent.parent.parent / "README.md"
PASSPHRASE = "four words nobody guesses"
ACME_FIELDS = """\
[[proposer_sends]]
name = "lifecycle_stage"
type = "text"
category = "contact"
sensitivity = "normal"
transform = "none"
retention_days = 90
departments = ["sales"]
"""
GLOBEX_FIELDS = """\
[[partner_sends]]
name = "lead_source"
type = "text"
category = "contact"
sensitivity = "normal"
transform = "none"
retention_days = 90
departments = ["marketing"]
"""


@dataclass(frozen=True)
class Told:
    """The script of the day, and what of it differs from one day to the next."""

    script: list[Scene]
    today: date
    port: int
    folders: dict[str, str]


def tell() -> Told:
    """Play the day, for real. Raises Stuck or Unanswered where a new user would be lost."""
    today, port = datetime.now(UTC).date(), _free_port()
    script: list[Scene] = []
    with ExitStack() as stack:
        warm = stack.enter_context(Warm())
        anna, ben = (_at_work(name, warm, script, stack) for name in ("anna", "ben"))
        for person in (anna, ben):
            person.reads(*readme_commands())
        write_hubspot(anna.terminal.folder / "hubspot.csv", today)
        write_salesforce(ben.terminal.folder / "salesforce.csv", today)
        _set_up(anna, ben, port)
        _decide(anna, ben)
        _agree(anna, ben, stack)
        _share(anna, ben)
        folders = {str(anna.terminal.folder): "/home/anna", str(ben.terminal.folder): "/home/ben"}
    return Told(script, today, port, folders)


def readme_commands() -> list[str]:
    """The first commands of “Your first pairing” in the README."""
    section = README.read_text(encoding="utf-8").split("## Your first pairing", 1)[1]
    block = section.split("```bash\n", 1)[1].split("```", 1)[0]
    return [line.partition(" #")[0].strip() for line in block.splitlines() if line.startswith("mutuals")]


def _set_up(anna: Person, ben: Person, port: int) -> None:
    _chapter(
        anna,
        "Each sets up a peer, and they introduce themselves",
        """\
Anna and Ben each begin with the one command in the README. They send each other their cards by e-mail, and then
telephone: each reads the words of their own fingerprint, the other follows on the screen.""",
    )
    secret = [("New passphrase", PASSPHRASE), ("same again", PASSPHRASE)]
    here = [
        ("Your organisation", "Acme Ltd"),
        ("reach this machine", "y"),
        ("host:port", f"localhost:{port}"),
    ]
    anna.types(
        "init", [*here, ("Your name", "anna"), ("Your department", ""), ("Is this right", ""), *secret]
    )
    there = [("Your organisation", "Globex SA"), ("reach this machine", "")]
    ben.types(
        "init", [*there, ("Your name", "ben"), ("Your department", "sales"), ("Is this right", ""), *secret]
    )
    ben.reads("mutuals doctor")
    ben.types("doctor")
    anna.types("card >")
    ben.types("card >")
    anna.hands("acme-ltd.card.json", ben)
    ben.hands("globex-sa.card.json", anna)
    anna.types("partner add", [("by voice", "y")], FILE="globex-sa.card.json")
    ben.types("partner add", [("by voice", "y")], FILE="acme-ltd.card.json")
    ben.types("doctor")


def _decide(anna: Person, ben: Person) -> None:
    _chapter(
        anna,
        "Whose contacts, and who may do what with them",
        """\
Each names the export. Consent is never guessed from a heading, so nobody takes part until somebody has decided what
grants it. Then each writes down the company's own rules; no partner sees those.""",
    )
    yes = [("Sign this", "y"), ("Passphrase", PASSPHRASE)]
    anna.types("source add", FILE="hubspot.csv")
    anna.types("source map", [*_consent(column="1", values="1", since="2", told="7"), *yes])
    anna.types("source check")
    ben.types("source add", FILE="salesforce.csv")
    ben.types("source map", [*_consent(column="1", values="1", since="2", told="8"), *yes])
    ben.types("source check")
    approve = [("put it in force", "y"), ("Passphrase", PASSPHRASE)]
    who = [("Who answers", "Carol Diaz, carol@acme.example"), ("Departments that work", "")]
    does = [("What does marketing", "Runs our campaigns."), ("Whom to ask", "Anna Berg, anna@acme.example")]
    anna.types("policy init", [*who, *does, *_categories("", ""), *_procedures("HubSpot", "Carol Diaz")])
    anna.types("policy check")
    anna.types("policy approve", approve)
    who = [("Who answers", "Dan Roy, dan@globex.example"), ("Departments that work", "")]
    does = [("What does sales", "Sells, and asks back."), ("Whom to ask", "Ben Lind, ben@globex.example")]
    ben.types(
        "policy init", [*who, *does, *_categories("", "", "yes"), *_procedures("Salesforce", "Dan Roy")]
    )
    ben.types("policy approve", approve)


def _chapter(person: Person, title: str, words: str) -> None:
    number = sum(not scene.who for scene in person.script) + 1
    person.script.append(Scene("", "", f"## {number}. {title}\n\n{words}"))


def _consent(*, column: str, values: str, since: str, told: str) -> list[tuple[str, str]]:
    return [
        ("Decide now", "y"),
        ("consent file of its own", ""),
        ("Which purpose", "joint-marketing"),
        ("In which column", column),
        ("Which values", values),
        ("Since when", since),
        ("another column", ""),
        ("told about the sharing", told),
        ("count as consent", "They said so on our form, which names partners."),
    ]


def _categories(*shared: str) -> list[tuple[str, str]]:
    return [
        answer
        for share in shared
        for answer in (("may view it", ""), ("may export it", ""), ("May it be shared", share))
    ]


def _procedures(crm: str, person: str) -> list[tuple[str, str]]:
    return [
        ("How is consent", "By a box on our forms that nobody ticks in advance."),
        ("Where is the evidence", f"In {crm}, with each contact."),
        ("How does a person withdraw", "By a link in every mail."),
        ("Whom to call", f"{person}, +49 30 901820"),
    ]


def _agree(anna: Person, ben: Person, stack: ExitStack) -> None:
    _chapter(
        anna,
        "They sign an agreement",
        """\
Anna drafts. What is legal text she has from her lawyers; the software asks for it, and does not judge it.""",
    )
    sign = [("Sign this", "y"), ("Passphrase", PASSPHRASE)]
    anna.types("agreement draft")
    anna.edits(
        "globex-sa.toml", _filled(anna), what="Anna opens globex-sa.toml in an editor and fills it in:"
    )
    anna.types("agreement assess", code=7)
    anna.types("agreement assess", sign, more=anna.option())
    anna.types("agreement propose", sign)
    server = anna.serves()
    stack.callback(server.stop)
    ben.types("doctor")
    ben.types("sync")
    ben.types("agreement show")
    ben.types("agreement assess", code=7)
    ben.types("agreement assess", sign, more=ben.option())
    ben.types("agreement accept", sign)


def _filled(anna: Person) -> list[tuple[str, str]]:
    text = (anna.terminal.folder / "globex-sa.toml").read_text(encoding="utf-8")
    examples = text[text.index("# Acme Ltd sends to Globex SA.") :]
    blanks = iter(re.findall(r'^\w+ = ("<.*>")', text, re.MULTILINE))
    words = {
        next(blanks): '"A campaign on both companies\' products to customers of both."',
        next(blanks): '"The law of Germany, courts of Berlin."',
        next(blanks): '"Consent, GDPR Art. 6(1)(a)"',
        next(blanks): '"Anna Berg at Acme, anna@acme.example; Ben Lind at Globex, ben@globex.example"',
        next(blanks): '"Eva Holt, privacy@acme.example and privacy@globex.example"',
    }
    words |= {blank: '"Carol Diaz, +49 30 901820, at any hour"' for blank in blanks if blank not in words}
    return [*words.items(), (examples, f"{ACME_FIELDS}\n{GLOBEX_FIELDS}")]


def _share(anna: Person, ben: Person) -> None:
    _chapter(
        anna,
        "They share",
        """\
Ben's side can call, so Ben starts. Where his screen says to ask Anna for something, he telephones.""",
    )
    unlock = [("Passphrase", PASSPHRASE)]
    ben.types("match A-")
    ben.types("reveal R-", [("Reveal them", "y"), *unlock], code=9)
    anna.hears(ben)
    anna.types("reveal R-", [("Reveal them", "y"), *unlock])
    ben.types("reveal R-")
    ben.types("exchange R-")
    ben.types("exchange R-", [("Authorise", "y"), *unlock], code=9)
    anna.types("exchange R-")
    anna.types("exchange R-", [("Authorise", "y"), *unlock])
    ben.types("exchange R-")
    ben.types("export R-", unlock)
    ben.types("report R-")
    anna.types("runs show R-")
    anna.types("export R-", unlock)


def _at_work(name: str, warm: Warm, script: list[Scene], stack: ExitStack) -> Person:
    """A person in a home folder of their own, whose path is as long as ``/home/NAME``, so that lines break alike."""
    while True:
        folder = Path("/tmp") / "".join(choice(ascii_lowercase) for _ in range(len(name) + 1))  # noqa: S108
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        break
    stack.callback(shutil.rmtree, folder)
    company = {"anna": "acme", "ben": "globex"}[name]
    return Person(name, Terminal(warm, folder, {"MUTUALS_HOME": str(folder / company)}), script)


def _free_port() -> int:
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = int(listening.getsockname()[1])
        if port >= 10_000:
            return port
