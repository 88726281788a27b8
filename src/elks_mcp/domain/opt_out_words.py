"""Words that opt out, and the words around them.

Swedish, Norwegian, Danish, Finnish and English, in lower case without accents. `opt_outs` decides their
meaning together.
"""

import re


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split())


STRONG = _words(
    "stop stopp stopall stoppall unsubscribe unsub optout avregistrera avregistrer avanmal "
    "avprenumerera afmeld afmelding avmeld avmelding frameld frabed"
)
"""Opt-out words named by law or trade that also count at either end of a sentence."""

WEAK = _words("end quit revoke arret stopt stoppen seis")
"""Opt-out words named by law or trade that ordinary sentences also begin with."""

CEASE = _words("sluta stoppa lopeta slutt stoppe stans")
"""Words that may answer a question. Otherwise they can only be about texts."""

CANCEL = _words(
    "avbryt cancel avsluta remove peruuta poista avslutt afslut annuller annullera kanseller delete "
    "fjern slett slet tabort"
)
"""Words that may answer a question, or be about an order or an appointment."""

REFUSAL = _words("nejtack neitakk nejtak eikiitos nothanks nothankyou")
"""Words that may answer a question."""

START = _words("start starta unstop")

TEXTS = _words(
    "sms smsa smsen smset smser mms mmsa mmsen mmset mmser bilder pictures text texts texting texta "
    "tekst tekste tekster meddelande meddelanden message messages messaging msg utskick reklam reklame "
    "mainos mainokset mainoksia viesti viestit viesteja viestien tekstiviesti tekstiviestit "
    "tekstiviesteja besked beskeder melding meldinger send sending skicka skriva sende skrive skriv "
    "kontakta contacting contact ringa calling ring lahettaminen lahettamasta list listan listen lista "
    "listalta listalla me mig meg mej minut minua minulle mitt mit numret nummeret number nummer numero "
    "numeroni"
)
"""Words about texts or the writer, which make the meaning of an opt-out word certain."""

LINKING = _words(
    "min my mine from fran fra to till til pa your er era ert of the these those de dessa disse more "
    "mer fler flere med with att at a an all alla any du ni you"
)
POINTING = _words(
    "it this that det detta den dette now nu na all alla allt alle everything immediately genast direkt "
    "dar i said tama nyt kaikki"
)
COURTESY = _words(
    "tack tackar please pls plz snalla vanligen tak takk kiitos thanks thank thx hej hei hi hello "
    "hejsan ok okej okay okei ja yes no nej nei just bara bare venligst vennligst ystavallisesti og "
    "och and kindly sorry med venlig vanlig"
)
SIGNATURE = _words("mvh vh mh halsningar halsning hilsen regards terveisin terv sincerely")

PHRASES = {
    "nej tack": "nejtack",
    "nei takk": "neitakk",
    "nej tak": "nejtak",
    "ei kiitos": "eikiitos",
    "no thanks": "nothanks",
    "no thank you": "nothankyou",
    "opt out": "optout",
    "ta bort": "tabort",
    "meld av": "avmeld",
    "meld meg av": "avmeld",
    "meld mig fra": "afmeld",
    "take me off": "remove me",
    "take off": "tabort",
    "fjern meg": "remove me",
    "sms a": "smsa",
    "hold op": "stoppe",
    "peru tilaus": "poista viestit",
}
"""Phrases, and the word that each counts as."""

LIKELY = re.compile(
    r"\b(?:no more (?:texts?|sms|messages?)|(?:inga|inte) (?:fler|mer) (?:sms|meddelanden|utskick)"
    r"|vill inte ha (?:fler |mer |era? |nagra )?(?:sms|meddelanden|utskick|reklam)"
    r"|(?:ikke|ingen) flere (?:sms|meldinger|beskeder)|ei enaa (?:teksti)?vieste\w*"
    r"|(?:don t|dont|do not) (?:text|sms|message|contact) me|leave me alone|lamna mig i fred"
    r"|(?:tabort|remove|delete|poista) (?:me|mig|meg|minut|mitt nummer|my number))\b"
)
"""Requests for no more texts without an opt-out word, or in the middle of a sentence."""

NOT_AFTER = _words("by at over in i pa vid for the a an och and off hos inte ej ikke mitt who what")
"""Words after STOP that give it another meaning: `Stop by tomorrow`, `Stopp i avloppet`."""

NOT_BEFORE = _words(
    "bus buss full non the a an next last first this that pit tram train not t dont never inte aldrig "
    "ikke ej ei nasta forsta sista ett ingen utan to will did didn does doesn it they he she we i must "
    "не"
)
"""Words before STOP that give it another meaning: `Bus stop`, `Don't stop`."""

NEGATIONS = _words("inte aldrig ej ikke not never t ei")
