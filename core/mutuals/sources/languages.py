"""Headings as German, French, Spanish, Italian, Dutch and Portuguese exports write them: regular expressions, whole and
without case, over ``plain_heading``.

What grants consent is in no language among them; what objects is, with the polarity that the words have.
"""

from __future__ import annotations

import re
import unicodedata

YES = (
    *(
        "true",
        "yes",
        "y",
        "t",
        "1",
        "x",
        "on",
        "checked",
        "ja",
        "j",
        "wahr",
        "oui",
        "o",
        "vrai",
        "sí",
        "si",
        "s",
    ),
    *("verdadero", "sì", "vero", "waar", "sim", "verdadeiro"),
)
NO = (
    *(
        "false",
        "no",
        "n",
        "f",
        "0",
        "off",
        "unchecked",
        "nein",
        "falsch",
        "non",
        "faux",
        "falso",
        "nee",
        "onwaar",
    ),
    *("não", "nao"),
)
_LONGEST = 500

IDS = (
    # German
    r"(kunden|kontakt|mitglieds|personen|adress)[ -]?(nr\.?|nummer|id|schlüssel|kennung)|datensatz[ -]?(id|nummer)",
    # French
    r"(id|identifiant|num[ée]ro|n°|code|r[ée]f[ée]rence)( (de |du |de la |de l'|d')?"
    r"(contact|client|membre|fiche|fiche d'informations?|enregistrement))",
    # Spanish, Portuguese
    r"(id|identificador|n[úu]mero|c[óo]digo)( (del?|do|da))? (contacto|contato|cliente|registro|registo|socio)",
    # Italian
    r"(id|identificativo|numero|codice)( (del|di|della))? (contatto|cliente|record|scheda)",
    # Dutch
    r"(klant|contact|relatie|record|lid)[ -]?(nummer|nr\.?|id)|klantcode",
)
EMAILS = (
    r"(private |gesch[äa]ftliche |berufliche |weitere |zweite )?e-?mail-?adresse( \(?(privat|gesch[äa]ftlich)\)?)?"
    r"|e-?mail \(?(privat|gesch[äa]ftlich|beruflich)\)?"
    r"|adresse (e-?mail|mail|courriel|[ée]lectronique)|courriel|e-?mail (professionnel|personnel|secondaire)"
    r"|correo( electr[óo]nico)?( (personal|laboral|de trabajo|secundario))?"
    r"|direcci[óo]n de (correo( electr[óo]nico)?|e-?mail)"
    r"|indirizzo (e-?mail|di posta elettronica)|posta elettronica|e-?mail (personale|aziendale|di lavoro|secondaria)"
    r"|(zakelijk|priv[ée])?[ -]?e-?mail-?adres|(zakelijke|priv[ée])[ -]e-?mail"
    r"|(endere[çc]o de )?(e-?mail|correio eletr[ôo]nico)( (pessoal|comercial|secund[áa]rio))?"
)
PHONES = (
    r"(tel(efon)?|mobil(telefon)?|handy|rufnummer)-?(nummer|nr\.?)?( \(?(privat|gesch[äa]ftlich|mobil|dienstlich)\)?)?"
    r"|(private|gesch[äa]ftliche|mobile) (telefon|mobil)nummer"
    r"|(num[ée]ro de )?t[ée]l(\.|[ée]phone)?( (mobile|portable|fixe|professionnel|personnel|domicile|bureau))?"
    r"|(num[ée]ro de )?(t[ée]l[ée]phone )?(portable|mobile|gsm)"
    r"|(n[úu]mero de )?(tel[ée]fono|m[óo]vil|celular)( (m[óo]vil|fijo|particular|celular|de trabajo|personal))?"
    r"|(numero di )?(telefono|cellulare)( (cellulare|fisso|casa|ufficio|di lavoro))?"
    r"|(mobiele? |vaste? |zakelijke? |priv[ée] ?)?telefoon(nummer)?|mobiel(e)?( nummer)?|gsm(-?nummer)?"
    r"|(n[úu]mero de )?(telefone|telem[óo]vel)( (celular|m[óo]vel|fixo|comercial|residencial))?"
)
OBJECTIONS = (
    # German
    r".*abgemeldet.*|.*(e-?mail|newsletter|werbe)-?abmeldung.*|abmeldung|werbesperre|kontaktsperre|.*werbewiderspruch.*"
    r"|.*widerspr(uch|ochen).*|nicht (mehr )?(anrufen|kontaktieren|anschreiben|mailen).*"
    r"|keine (werbung|e-?mails|anrufe).*"
    # French
    r"|.*(d[ée]sabonn[ée]|d[ée]sinscri(t|ption)).*|ne (pas|plus) (appeler|contacter|d[ée]ranger|solliciter|envoyer).*"
    r"|.*opposition.*"
    # Spanish
    r"|.*(cancel[óo]|cancelad[ao]|cancelaci[óo]n).*suscripci[óo]n.*|.*suscripci[óo]n.*cancelada.*|.*dado de baja.*"
    r"|no (llamar|contactar|enviar|molestar).*|.*oposici[óo]n.*"
    # Italian
    r"|.*(disiscritt[oaie]|disiscrizione).*|.*annullat[ao] l'iscrizione.*|non (chiamare|contattare|inviare).*"
    r"|.*opposizione.*"
    # Dutch
    r"|.*(afgemeld|uitgeschreven|afmelding|uitschrijving).*|niet (bellen|mailen|benaderen|contacteren).*|.*bezwaar.*"
    # Portuguese
    r"|.*(descadastrad[oa]|inscri[çc][ãa]o cancelada|(cancelou|cancelamento).*(subscri[çc][ãa]o|inscri[çc][ãa]o)).*"
    r"|n[ãa]o (ligar|telefonar|contact?ar|enviar|perturbe).*|.*oposi[çc][ãa]o.*"
)
# “Not opted out” or “Kein Widerspruch” would be read the wrong way round: such a column is taken for nothing.
DENIED = (
    r"(?!.*\b(not|never|nicht|nie|keine?|ohne|non|pas|sans|sin|sem|senza|zonder|geen|niet|não|nao|no)[ _-]+"
    r"(opt|unsub|object|suppress|block|abge|wider|werbe|d[ée]s|oppos|opos|cancel|disis|afge|uitge|bezwaar|descad))"
)


def plain_heading(heading: str) -> str:
    """``heading`` composed, with plain apostrophes and spaces; empty where it is too long to be a name."""
    if len(heading) > _LONGEST:
        return ""
    text = unicodedata.normalize("NFC", heading).translate({0x2019: "'", 0xA0: " ", 0x202F: " ", 0x2011: "-"})
    return re.sub(r"\s+", " ", text)
