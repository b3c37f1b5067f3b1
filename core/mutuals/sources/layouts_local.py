"""HubSpot and Salesforce with headings in other languages, as their users and help pages write them.

Less is known of these than of the English ones, and headings vary more: so recognising one is stated with less
confidence, and whatever else is needed is found by the headings that are common in that language.
"""

from __future__ import annotations

from mutuals.sources.layout import Layout, headings_of

CERTAINTY = 80

HUBSPOT_DE = Layout(
    name="hubspot-de",
    title="HubSpot (German headings)",
    certainty=CERTAINTY,
    marks=headings_of(
        "Datensatz-ID, Von allen E-Mails abgemeldet, Lebenszyklusphase, Lifecycle-Phase, Lead-Status",
        "Zuständiger Mitarbeiter für Kontakt, Kontakt-Zuständiger, Zugehöriges Unternehmen, Mobiltelefonnummer",
        "Marketingkontakt-Status, Rechtsgrundlage für die Verarbeitung der Kontaktdaten, Name des Unternehmens",
        "Datum der letzten Aktivität, Associated Company",
    ),
    known=headings_of(
        "Vorname, Nachname, E-Mail, Telefonnummer, Erstellungsdatum, Stadt, Postleitzahl, Straße"
    ),
    ids=("datensatz-id",),
)
HUBSPOT_FR = Layout(
    name="hubspot-fr",
    title="HubSpot (French headings)",
    certainty=CERTAINTY,
    marks=headings_of(
        "ID de fiche d'informations, ID de l'enregistrement, Désabonné de tous les e-mails, Propriétaire du contact",
        "Phase du cycle de vie, Statut du lead, Entreprise associée, Statut du contact marketing",
        "Numéro de téléphone mobile, Date de dernière activité, Nom de l'entreprise",
    ),
    known=headings_of(
        "Prénom, Nom, E-mail, Numéro de téléphone, Date de création, Ville, Code postal, Adresse postale"
    ),
    ids=("id de fiche d'informations", "id de l'enregistrement"),
)
HUBSPOT_ES = Layout(
    name="hubspot-es",
    title="HubSpot (Spanish headings)",
    certainty=CERTAINTY,
    marks=headings_of(
        "ID de registro, ID del registro, Propietario del contacto, Etapa del ciclo de vida, Estado del lead",
        "Canceló la suscripción a todos los correos electrónicos, Canceló la suscripción a todos los correos",
        "Empresa asociada, Estado del contacto de marketing, Número de teléfono móvil, Fecha de última actividad",
        "Nombre de la empresa",
    ),
    known=headings_of(
        "Nombre, Apellidos, Apellido, Correo, Correo electrónico, Número de teléfono, Fecha de creación, Ciudad"
    ),
    ids=("id del? registro",),
)
SALESFORCE_DE = Layout(
    name="salesforce-report-de",
    title="Salesforce (report with German labels)",
    certainty=CERTAINTY,
    marks=headings_of(
        "Accountname, Account-Name, Kontakt-ID, Kontaktinhaber, Account-ID, Accountinhaber, Leadquelle, Lead-Quelle",
        "E-Mail-Abmeldung, E-Mail-Abmeldungen, Fax-Abmeldung, Nicht anrufen, Postanschrift (Straße)",
        "Postanschrift Straße, Postanschrift (Stadt), Postanschrift Stadt, Untersteht, Letzte Aktivität",
    ),
    known=headings_of(
        "Vorname, Nachname, E-Mail, Telefon, Mobil, Anrede, Titel, Abteilung, Telefon (privat), Fax"
    ),
    ids=("kontakt-id( \\(18\\))?",),
    may_end_in_notes=True,
)
SALESFORCE_FR = Layout(
    name="salesforce-report-fr",
    title="Salesforce (report with French labels)",
    certainty=CERTAINTY,
    marks=headings_of(
        "Nom du compte, ID du contact, Propriétaire du contact, ID du compte, Origine de la piste, Responsable",
        "Refus d'e-mails, Désinscription des e-mails, Ne pas appeler, Refus de fax, Rue (adresse postale)",
        "Rue - Adresse postale, Ville - Adresse postale, Dernière activité",
    ),
    known=headings_of(
        "Prénom, Nom, Nom de famille, E-mail, Téléphone, Mobile, Civilité, Titre, Département, Fax"
    ),
    ids=("id du contact( \\(18\\))?",),
    may_end_in_notes=True,
)
LOCAL = (HUBSPOT_DE, HUBSPOT_FR, HUBSPOT_ES, SALESFORCE_DE, SALESFORCE_FR)
