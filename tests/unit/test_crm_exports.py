"""Each CRM's export goes from file to identifiers by its name alone, and after one decision to the right people."""

from __future__ import annotations

import importlib.util
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from mutuals.errors import ErrorCode, MutualsError
from mutuals.models.agreement import ConsentRule
from mutuals.normalisation import get_profile
from mutuals.sources import SourceDefinition, read_source
from mutuals.sources.detect import Understood, Wishes, rank, understand
from mutuals.sources.eligibility import consent_exclusions
from mutuals.sources.identifiers import collect_identifiers
from mutuals.sources.layouts import GENERIC, HUBSPOT, SALESFORCE_API, objections
from mutuals.sources.mapping import ConsentDecision, ConsentGrant

EXPORTS = Path(__file__).parents[1] / "data" / "exports"
TODAY = date(2026, 12, 31)
RULE = ConsentRule(purpose="sharing", max_age_days=730, notice_required=False)
CONSENT = {
    "hubspot.csv": (
        "Legal basis for processing contact's data",
        "Freely given consent from contact",
        "Consent day",
    ),
    "salesforce-api.csv": ("Data_Sharing_Consent__c", "yes", "Data_Sharing_Date__c"),
    "salesforce-report.csv": ("Data Sharing Consent", "YES", "Consent Date"),
    "dynamics365.xlsx": ("Sharing", "Yes", "Sharing since"),
    "zoho.csv": ("Data Processing Basis", "Consent - Obtained", "Consent given"),
    "pipedrive.csv": ("Person - Sharing", "Yes", "Person - Sharing since"),
    "generic.txt": ("Datenweitergabe", "Ja", "Datum"),
}
ORDERS = {"salesforce-report.csv": "month-first", "pipedrive.csv": "day-first", "generic.txt": "day-first"}
ENCODINGS = {"salesforce-report.csv": "cp1252", "generic.txt": "utf-16-le"}
MAILS = [f"{name}@example.com" for name in ("ann", "ben", "carl", "dora", "ed", "flo", "guel")]


def recognised(path: Path, **wishes: object) -> Understood:
    return understand(SourceDefinition(name="crm", path=str(path), format="csv"), Wishes(**wishes))  # type: ignore[arg-type]


def decided(definition: SourceDefinition, decision: ConsentDecision) -> SourceDefinition:
    assert definition.mapping is not None
    mapping = definition.mapping.model_copy(update={"consent": decision})
    return definition.model_copy(update={"mapping": mapping})


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_exports", EXPORTS / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_those_that_the_script_makes(maker: ModuleType) -> None:
    assert set(maker.FILES) == set(CONSENT)
    for name, make in maker.FILES.items():
        assert (EXPORTS / name).read_bytes() == make(), name


@pytest.mark.parametrize("name", CONSENT)
def test_from_the_file_alone_to_identifiers_and_nobody_takes_part(name: str) -> None:
    understood = recognised(EXPORTS / name)
    definition = understood.definition
    assert understood.layout == name.split(".", maxsplit=1)[0]
    assert (understood.confidence or 0) >= 80
    assert definition.encoding == ENCODINGS.get(name, "utf-8")
    assert definition.mapping is not None
    assert definition.mapping.dates == ORDERS.get(name, "year-first")
    table = read_source(definition)
    assert table.rejected == ()
    assert table.frame["suppressed"].to_list() == [False, True, *[False] * 5]
    found = collect_identifiers(table, ("email", "phone"), get_profile("uid2-v1"), "DE")
    assert found["reason"].null_count() == len(found)
    dora = [] if name == "salesforce-report.csv" else ["dora.private@example.org"]
    assert sorted(found.filter(type="email")["value"]) == sorted([*MAILS, *dora])
    numbers = {"+4930901820", "+491715555555", "+4930901821", "+4930901822"}
    assert numbers <= set(found.filter(type="phone")["value"])
    assert set(consent_exclusions(table.frame, RULE, TODAY)) == {"suppressed", "no_consent"}


@pytest.mark.parametrize("name", CONSENT)
def test_after_the_decision_exactly_the_right_people_take_part(name: str) -> None:
    column, value, day = CONSENT[name]
    grant = ConsentGrant(purpose="sharing", column=column, values=(value,), given_at=day)
    definition = decided(recognised(EXPORTS / name).definition, ConsentDecision(grants=(grant,)))
    table = read_source(definition)
    assert table.rejected == ()
    assert consent_exclusions(table.frame, RULE, TODAY).to_list() == [
        None,
        "suppressed",
        "no_consent",
        None,
        "no_consent",
        "consent_undated",
        None,
    ]
    assert {column, day} <= set(table.field_names)
    assert read_source(definition, fields=(day,)).frame[day].to_list() == table.frame[day].to_list()
    given = table.frame["consent_at"].to_list()
    assert (given[0], given[3], given[6]) == (date(2026, 3, 31), date(2026, 4, 5), date(2026, 12, 1))


def test_several_purposes_have_days_of_their_own_and_notice_is_one_day(tmp_path: Path) -> None:
    register = tmp_path / "consents.csv"
    register.write_text(
        "Contact;Purpose;Status;Date;Proof\n"
        "10001;profiling;given;01.04.2026;T-1\n10001;profiling;withdrawn;30.04.2026;\n"
        "10004;profiling;given;01.05.2026;T-2\n10004;profiling;given;01.03.2026;T-0\n"
        "10005;profiling;given;01.05.2026;\n10005;profiling;withdrawn;01.05.2026;\n"
        "10006;profiling;given;;\n10007;profiling;given;13.05.2026;\n10007;profiling;withdrawn;;\n"
    )
    from mutuals.sources.mapping import ConsentFile

    column, value, day = CONSENT["hubspot.csv"]
    decision = ConsentDecision(
        grants=(ConsentGrant(purpose="sharing", column=column, values=(value,), given_at=day),),
        file=ConsentFile(
            path=str(register),
            contact_id="Contact",
            purpose="Purpose",
            status="Status",
            granted=("Given",),
            date="Date",
            evidence="Proof",
            dates="day-first",
        ),
        notified_on=date(2026, 6, 1),
    )
    table = read_source(decided(recognised(EXPORTS / "hubspot.csv").definition, decision))
    sharing = consent_exclusions(table.frame, RULE, TODAY)
    assert [row for row, why in zip(table.frame["contact_id"], sharing, strict=True) if why is None] == [
        "10001",
        "10004",
        "10007",
    ]
    profiling = RULE.model_copy(update={"purpose": "profiling", "notice_required": True})
    allowed = consent_exclusions(table.frame, profiling, TODAY)
    assert [row for row, why in zip(table.frame["contact_id"], allowed, strict=True) if why is None] == [
        "10004"
    ]
    assert table.frame["consent_evidence"][3] == "T-2"
    assert table.frame["notified_at"].unique().to_list() == [date(2026, 6, 1)]


def test_fields_go_by_their_own_headings_and_what_identifies_is_none() -> None:
    table = read_source(recognised(EXPORTS / "hubspot.csv").definition)
    assert "Associated Company" in table.field_names
    assert not {"Email", "Phone Number", "Record ID"} & set(table.field_names)
    assert table.frame["Associated Company"].to_list()[3:5] == ["Multi\nline", "Emoji 🎉"]


@pytest.mark.parametrize(
    ("headings", "layout"),
    [
        ("Record ID,First Name,Last Name,Email,Phone Number,Associated Company,Contact owner", "hubspot"),
        ("Id,AccountId,FirstName,LastName,Email,Phone,MobilePhone,HomePhone,MailingStreet", "salesforce-api"),
        (
            "First Name,Last Name,Account Name,Contact Owner,Lead Source,Mailing Street,Email",
            "salesforce-report",
        ),
        ("(Do Not Modify) Contact,(Do Not Modify) Row Checksum,First Name,Last Name,Email", "dynamics365"),
        (
            "Record Id,Contact Owner.id,Contact Owner,First Name,Last Name,Account Name,Email,Phone,Mobile",
            "zoho",
        ),
        (
            "Contact Id,Contact Owner.id,Contact Owner,First Name,Email,Email Opt Out,Unsubscribed Mode",
            "zoho",
        ),
        ("Person - Name,Person - Email - Work,Person - Phone - Work,Person - Organization", "pipedrive"),
    ],
)
def test_known_headings_are_recognised_well_ahead_of_the_next(headings: str, layout: str) -> None:
    best, second = rank(headings.split(","))[:2]
    assert best.layout.name == layout
    assert best.confidence >= 60
    assert best.confidence - second.confidence >= 15


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("headings", "layout", "contact_id", "identifying", "objecting"),
    [
        (
            "Datensatz-ID;Vorname;Nachname;E-Mail;Telefonnummer;Lead-Status;Von allen E-Mails abgemeldet",
            *("hubspot-de", "Datensatz-ID", "E-Mail,Telefonnummer", "Von allen E-Mails abgemeldet"),
        ),
        (
            "ID de fiche d’informations;Prénom;Nom;E-mail;Numéro de téléphone;Désabonné de tous les e-mails",
            *("hubspot-fr", "ID de fiche d’informations", "E-mail,Numéro de téléphone"),
            "Désabonné de tous les e-mails",
        ),
        (
            "ID de registro;Nombre;Apellidos;Correo;Número de teléfono;Etapa del ciclo de vida;"
            "Canceló la suscripción a todos los correos electrónicos",
            *("hubspot-es", "ID de registro", "Correo,Número de teléfono"),
            "Canceló la suscripción a todos los correos electrónicos",
        ),
        (
            "Anrede;Vorname;Nachname;Accountname;E-Mail;Telefon;Mobil;Kontakt-ID;E-Mail-Abmeldung;Nicht anrufen",
            *("salesforce-report-de", "Kontakt-ID", "E-Mail,Telefon,Mobil", "E-Mail-Abmeldung,Nicht anrufen"),
        ),
        (
            "Civilité;Prénom;Nom;Nom du compte;E-mail;Téléphone;Mobile;ID du contact;Ne pas appeler",
            *("salesforce-report-fr", "ID du contact", "E-mail,Téléphone,Mobile", "Ne pas appeler"),
        ),
        (
            "Kundennummer;Name;E-Mail-Adresse;Mobiltelefon;Werbewiderspruch",
            *("generic", "Kundennummer", "E-Mail-Adresse,Mobiltelefon", "Werbewiderspruch"),
        ),
        (
            "Numéro client;Nom;Adresse e-mail;Téléphone portable;Opposition marketing",
            *("generic", "Numéro client", "Adresse e-mail,Téléphone portable", "Opposition marketing"),
        ),
        (
            "ID cliente;Nombre;Correo electrónico;Teléfono móvil;No contactar",
            *("generic", "ID cliente", "Correo electrónico,Teléfono móvil", "No contactar"),
        ),
        (
            "Codice cliente;Nome;Indirizzo e-mail;Cellulare;Disiscritto dalla newsletter",
            *("generic", "Codice cliente", "Indirizzo e-mail,Cellulare", "Disiscritto dalla newsletter"),
        ),
        (
            "Klantnummer;Naam;E-mailadres;Mobiel nummer;Afgemeld voor e-mail",
            *("generic", "Klantnummer", "E-mailadres,Mobiel nummer", "Afgemeld voor e-mail"),
        ),
        (
            "Código do cliente;Nome;Endereço de e-mail;Telemóvel;Não contactar",
            *("generic", "Código do cliente", "Endereço de e-mail,Telemóvel", "Não contactar"),
        ),
    ],
)
def test_headings_in_other_languages_are_understood_and_objections_keep_their_sense(
    tmp_path: Path, headings: str, layout: str, contact_id: str, identifying: str, objecting: str
) -> None:
    path = tmp_path / "export.csv"
    columns = [*headings.split(";"), "Einwilligung"]
    objected = ["ja" if heading in objecting.split(",") else "1" for heading in columns]
    allowed = ["FALSCH" if heading in objecting.split(",") else "2" for heading in columns]
    lines = [columns, objected, allowed]
    path.write_text("\n".join(";".join(line) for line in lines), encoding="utf-8")
    understood = recognised(path)
    mapping = understood.definition.mapping
    assert mapping is not None
    assert (understood.layout, mapping.contact_id) == (layout, contact_id)
    assert [*mapping.emails, *mapping.phones] == identifying.split(",")
    assert [rule.column for rule in mapping.objections] == objecting.split(",")
    assert mapping.consent is None
    assert layout == "generic" or 60 <= (understood.confidence or 0) <= 80
    assert read_source(understood.definition).frame["suppressed"].to_list() == [True, False]


@pytest.mark.parametrize(
    "heading", ["Not opted out", "Kein Widerspruch", "nicht abgemeldet", "Non désabonné"]
)
def test_a_denied_objection_is_not_taken_for_one(heading: str) -> None:
    assert objections(GENERIC, [heading]) == ()


def test_what_could_be_either_is_asked_and_a_layout_can_be_named(tmp_path: Path) -> None:
    headings = "Contact ID,Last Name,Email,Phone Number,Lead Status,Fax Opt Out,Account Owner"
    file = write(tmp_path / "crm.csv", f"{headings}\n1,A,a@x.de,,,0,\n")
    with pytest.raises(MutualsError, match="could be an export of") as caught:
        recognised(file)
    assert "--layout" in (caught.value.hint or "")
    assert recognised(file, layout="hubspot").layout == "hubspot"
    with pytest.raises(MutualsError, match="no layout") as wrong:
        recognised(file, layout="sap")
    assert wrong.value.code is ErrorCode.USAGE


def test_a_file_that_does_not_say_who_objects_needs_a_reason(tmp_path: Path) -> None:
    file = write(tmp_path / "crm.csv", "Customer ID,Email\n1,a@x.de\n")
    with pytest.raises(MutualsError, match="nobody is assumed not to") as caught:
        recognised(file)
    assert "--no-objections" in (caught.value.hint or "")
    definition = recognised(file, no_objections_because="taken out before the export").definition
    assert read_source(definition).frame["suppressed"].to_list() == [False]
    named = write(
        tmp_path / "named.csv", "Customer ID,Email,Gone\n1,a@x.de,x\n2,b@x.de,\n3,c@x.de,who knows\n"
    )
    definition = recognised(named, columns={"suppressed": "Gone"}).definition
    assert read_source(definition).frame["suppressed"].to_list() == [True, False, True]


def test_without_a_column_of_ids_the_address_is_the_id_and_that_is_said(tmp_path: Path) -> None:
    file = write(
        tmp_path / "crm.csv",
        "Person - Name,Person - Email - Work,Person - Marketing status\nA,a@x.de,\nB,,\n",
    )
    understood = recognised(file)
    assert "no column of ids" in understood.hints[0]
    table = read_source(understood.definition)
    assert table.frame["contact_id"].to_list() == ["a@x.de"]
    assert [fault.row for fault in table.rejected] == [3]


@pytest.mark.parametrize(
    ("days", "order", "hinted"),
    [
        (("03/04/2026", "12/11/2026"), None, True),
        (("03/04/2026", "25/11/2026"), "day-first", False),
        (("03/04/2026", "11/25/2026 2:45 PM"), "month-first", False),
        (("25/04/2026", "04/25/2026"), None, True),
        (("2026-04-25", "2026-04-26T10:00:00Z"), "year-first", False),
        (("soon", ""), None, False),
    ],
)
def test_the_order_of_dates_is_seen_or_asked_never_guessed(
    tmp_path: Path, days: tuple[str, str], order: str | None, hinted: bool
) -> None:
    rows = "".join(f"{number},{number}@x.de,0,yes,{day}\n" for number, day in enumerate(days))
    file = write(tmp_path / "crm.csv", f"Id,Email,Opt out,Share,Since\n{rows}")
    understood = recognised(file)
    assert understood.definition.mapping is not None
    assert understood.definition.mapping.dates == order
    assert bool(understood.hints) == hinted
    grant = ConsentGrant(purpose="sharing", column="Share", values=("yes",), given_at="Since")
    table = read_source(decided(understood.definition, ConsentDecision(grants=(grant,))))
    assert table.dates == order
    if order is None:
        assert {fault.column for fault in table.rejected} == {"consent_at"}
    else:
        assert table.rejected == ()


def test_an_unknown_value_of_an_objection_objects_and_an_empty_one_does_not() -> None:
    rules = objections(HUBSPOT, ["Unsubscribed from all email", "Opted out of email: Weekly", "Email"])
    assert [rule.column for rule in rules] == ["Unsubscribed from all email", "Opted out of email: Weekly"]
    api = objections(SALESFORCE_API, ["HasOptedOutOfEmail", "DoNotCall", "Do_Not_Share__c", "Email", "Notes"])
    assert [rule.column for rule in api] == ["HasOptedOutOfEmail", "DoNotCall", "Do_Not_Share__c"]
    assert (
        objections(GENERIC, ["Options", "Email", "Subscribed", "Do not disturb", "Phone"])[0].column
        == "Do not disturb"
    )
