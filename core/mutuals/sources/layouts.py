"""What is known of the exports of each CRM: which headings are its own, what identifies, and what objects.

Nothing here grants consent: the columns that a CRM has by itself say who objects, and whoever did not object has not
thereby consented. An objection to e-mail, calls or faxes concerns the contact as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mutuals.sources.languages import DENIED, EMAILS, IDS, NO, OBJECTIONS, PHONES, YES, plain_heading
from mutuals.sources.layout import Layout, Objection, headings_of
from mutuals.sources.layouts_local import LOCAL
from mutuals.sources.mapping import ObjectionRule

_NAMES = headings_of("First Name, Last Name, Email")
_ANY_VALUE: tuple[str, ...] = ("", "-none-", "none")
_DO_NOT_ALLOW = ("do not allow", *YES), ("allow", *NO)

HUBSPOT = Layout(
    name="hubspot",
    title="HubSpot",
    always=headings_of("Record ID, Contact ID"),
    marks=headings_of(
        "Record ID, Associated Company, Contact owner, Phone Number, Mobile Phone Number, Lifecycle Stage, Lead Status",
        "Unsubscribed from all email, Marketing contact status, Legal basis for processing contact's data",
        "Associated Company IDs, Create Date, Last Activity Date, Additional email addresses, Original Source",
        "Company Name, Job Title, Last Modified Date, Email Domain, Marketing emails opened",
    ),
    known=_NAMES
    | headings_of("Contact ID, City, Country/Region, State/Region, Postal Code, Street Address, Industry"),
    ids=("record id", "contact id"),
    emails=r"e-?mail|work e-?mail|additional email addresses|(secondary|other|personal) e-?mail",
    phones=r"phone( number)?|mobile phone( number)?|whatsapp phone number",
    objections=(
        Objection("unsubscribed from all e-?mail"),
        Objection("opted out of e-?mail.*"),
    ),
)
SALESFORCE_API = Layout(
    name="salesforce-api",
    title="Salesforce (API names)",
    always=headings_of("Id"),
    marks=headings_of(
        "AccountId, FirstName, LastName, MobilePhone, HomePhone, OtherPhone, AssistantPhone, MailingStreet",
        "MailingCity, MailingState, MailingPostalCode, MailingCountry, OtherStreet, HasOptedOutOfEmail",
        "HasOptedOutOfFax, DoNotCall, IndividualId, OwnerId, CreatedDate, LastModifiedDate, SystemModstamp, LeadSource",
        "ReportsToId, IsDeleted, MasterRecordId, EmailBouncedDate, EmailBouncedReason, CreatedById, LastModifiedById",
        "LastActivityDate",
    ),
    known=headings_of("Id, Email, Phone, Fax, Title, Department, Birthdate, Salutation, Name, Description"),
    ids=("id", "contact\\.id", "contactid"),
    emails=r"email|(personemail)|[a-z0-9_]*email__c",
    phones=r"phone|mobilephone|homephone|otherphone|personmobilephone|personhomephone",
    objections=(
        Objection("(person)?hasoptedoutof(email|fax)"),
        Objection("(person)?donotcall"),
        Objection("hasoptedout(tracking|processing|profiling|solicit)|shouldforget"),
    ),
)
SALESFORCE_REPORT = Layout(
    name="salesforce-report",
    title="Salesforce (report with labels)",
    marks=headings_of(
        "Account Name, Contact Owner, Lead Source, Mailing Street, Mailing State/Province, Mailing Zip/Postal Code",
        "Email Opt Out, Fax Opt Out, Do Not Call, Contact ID, Account ID, Mailing Address Line 1, Reports To",
        "Mailing Country (text only), Contact: Full Name, Other Phone, Last Activity, Account Owner",
    ),
    known=_NAMES
    | headings_of(
        "Salutation, Title, Phone, Mobile, Home Phone, Fax, Mailing City, Mailing Country, Department"
    ),
    ids=("contact id( \\(18\\))?", "contact: id", "record id"),
    emails=r"(contact: )?e-?mail|other e-?mail",
    phones=r"(contact: )?(phone|mobile|mobile phone|home phone|other phone|business phone)",
    objections=(
        Objection("(contact: )?(e-?mail|fax) opt[ -]out"),
        Objection("(contact: )?do not call"),
    ),
    may_end_in_notes=True,
)
DYNAMICS = Layout(
    name="dynamics365",
    title="Dynamics 365",
    always=headings_of("(Do Not Modify) Contact"),
    marks=headings_of(
        "(Do Not Modify) Contact, (Do Not Modify) Row Checksum, (Do Not Modify) Modified On, Business Phone",
        "Do not allow Emails, Do not allow Bulk Emails, Do not allow Phone Calls, Do not allow Faxes",
        "Do not allow Mails, Do not allow Bulk Mails, Status Reason, Address 1: Street 1, Address 1: City",
        "Address 1: ZIP/Postal Code",
        "Preferred Method of Contact, Send Marketing Materials, Parent Customer, Email Address 2, Email Address 3",
    ),
    known=_NAMES | headings_of("Full Name, Mobile Phone, Company Name, Job Title, Owner, Status, Home Phone"),
    ids=("\\(do not modify\\) contact", "contact( id)?"),
    emails=r"e-?mail|email address [123]",
    phones=r"(business|mobile|home) phone( 2)?|telephone 3",
    objections=(
        Objection(
            "do not allow (bulk )?(e-?mails?|mails?|phone calls?|faxes)",
            *_DO_NOT_ALLOW,
        ),
        Objection(
            "send marketing materials", ("do not send", "false", "no", "0"), ("send", "true", "yes", "1")
        ),
    ),
)
ZOHO = Layout(
    name="zoho",
    title="Zoho CRM",
    always=headings_of("Record Id, Contact Id"),
    marks=headings_of(
        "Record Id, Contact Id, Contact Owner.id, Account Name.id, Created By.id, Modified By.id, Reporting To.id",
        "Unsubscribed Mode, Unsubscribed Time, Data Processing Basis, Data Source, Secondary Email, Mailing Zip",
        "Mailing State, Created Time, Modified Time, Last Activity Time, Asst Phone, Vendor Name, Skype ID, Tag",
    ),
    known=_NAMES
    | headings_of(
        "Contact Owner, Account Name, Phone, Mobile, Home Phone, Other Phone, Email Opt Out, Lead Source"
    )
    | headings_of("Mailing Street, Mailing City, Mailing Country, Title, Department, Salutation, Fax"),
    ids=("record id", "contact id", "id"),
    emails=r"e-?mail|secondary e-?mail",
    phones=r"phone|mobile|home phone|other phone",
    objections=(
        Objection("e-?mail opt[ -]out"),
        Objection("unsubscribed (mode|time)", (), _ANY_VALUE),
    ),
)
PIPEDRIVE = Layout(
    name="pipedrive",
    title="Pipedrive",
    always=headings_of(
        "Person - Name, Person - ID, Person - First name, Person - Email - Work, Person - Email"
    ),
    marks=headings_of(
        "Person - Name, Person - ID, Person - First name, Person - Last name, Person - Organization, Person - Owner",
        "Person - Email, Person - Email - Work, Person - Email - Home, Person - Email - Other, Person - Phone",
        "Person - Phone - Work, Person - Phone - Home, Person - Phone - Mobile, Person - Phone - Other",
        "Person - Marketing status, Person - Double opt-in, Person - Label, Person - Labels, Person - Visible to",
        "Person - Person created, Person - Update time, Person - Open deals, Person - Won deals, Organization - Name",
    ),
    known=frozenset(),
    ids=("person - id",),
    emails=r"person - e-?mail( - (work|home|other))?",
    phones=r"person - phone( - (work|home|mobile|other))?",
    objections=(
        Objection(
            "person - marketing status",
            ("no_consent", "no consent", "unsubscribed", "archived"),
            ("subscribed",),
        ),
    ),
)
GENERIC = Layout(
    name="generic",
    title="generic table",
    marks=frozenset(),
    known=frozenset(),
    ids=(
        r"contact[ _-]?(id|no|number|key)",
        r"(customer|client|person|member|record|user|lead|subscriber|crm)[ _-]?(id|no|number|key)",
        *IDS,
        r"(external|unique)[ _-]?id|uuid|guid|id",
    ),
    emails=r"((primary|secondary|work|private|personal|other|business)[ _-])?e-?mail([ _-]?(address|adresse))?"
    rf"[ _-]?[0-9]?|{EMAILS}",
    phones=r"((mobile|work|home|business|private|cell|other)[ _-]?)?(tele)?phone([ _-]?(number|no\.?))?[ _-]?[0-9]?"
    rf"|mobile([ _-]?number)?|cell|tel\.?|{PHONES}",
)
LAYOUTS = (HUBSPOT, SALESFORCE_API, SALESFORCE_REPORT, DYNAMICS, ZOHO, PIPEDRIVE, *LOCAL)
BY_NAME = {layout.name: layout for layout in (*LAYOUTS, GENERIC)}

# Columns that a company made for itself, in any CRM.
COMMON = Objection(
    rf"{DENIED}(person - )?("
    r"(.*[^a-z])?opt(ed)?[ _-]?outs?(?![a-z]).*|.*_opt(ed)?_out(_.*)?|hasoptedout.*"
    r"|do[ _-]?not[ _-]?(contact|use|share|sell|(send[ _-]?)?e-?mails?|call|phone|text|sms|mail|market"
    r"|process|disturb)(?![a-z]).*"
    r"|donot(contact|call|e?mail|share|sell).*"
    r"|(is[ _-]?)?unsubscribed?|unsubscribed?[ _-](from|at|on|date|time|mode)\b.*"
    rf"|{OBJECTIONS}"
    r"|(is[ _-]?)?suppress(ed|ion)?|(is[ _-]?)?blocked|black-?listed|(gdpr[ _-]?|has[ _-]?)?object(ed|ion)s?"
    r")(__c)?"
)


def matching(pattern: str, headings: Sequence[str]) -> tuple[str, ...]:
    """Those of ``headings`` that ``pattern`` matches, whole and without case."""
    wanted = re.compile(pattern, re.IGNORECASE)
    return tuple(heading for heading in headings if heading and wanted.fullmatch(plain_heading(heading)))


def objections(layout: Layout, headings: Sequence[str]) -> tuple[ObjectionRule, ...]:
    """The rules for all columns that hold objections, in the file's order."""
    found = {
        column: objection.rule(column)
        for objection in (COMMON, *layout.objections)
        for column in matching(objection.heading, headings)
    }
    return tuple(found[heading] for heading in dict.fromkeys(headings) if heading in found)
