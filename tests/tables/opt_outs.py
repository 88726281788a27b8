"""Replies that people write to a text, in five languages, and whether they opt out.

`CLEAR` opts out whatever was asked. `ANSWER` opts out unless it answers a question of ours. `LIKELY` is for a
person to read; `LIKELY_ANSWER` too, unless it answers a question. `NONE` is an ordinary message.
"""

from typing import Literal

Class = Literal["clear", "answer", "likely", "likely answer", "none"]
Language = Literal["sv", "nb", "da", "fi", "en"]

CLEAR: dict[Language, tuple[str, ...]] = {
    "sv": (
        "STOP\n\nMvh\nVerkstan",
        "STOP\n--\nVerkstan i Byn AB\nTel 070-174 06 05\nVi lagar alla bilar och alla cyklar",
        "STOP 070-174 06 05",
        "070-174 06 05 STOP",
        "STOP STOP STOP STOP",
        "stopstop",
        "STOPPSTOPP",
        "Stopp tack",
        "Snälla stopp",
        "Hej, stopp tack!",
        "Hej!\nSTOPP\nMvh Ulla",
        "Nej tack, stopp",
        "Nej stopp",
        "Sluta skicka sms",
        "Sluta smsa mig tack",
        "Sluta skicka meddelanden till mig",
        "Ta bort mig",
        "Ta bort mitt nummer",
        "Snälla ta bort mig från listan",
        "Avanmäl",
        "Avanmäl mig tack",
        "AVREGISTRERA",
        "Avregistrera mitt nummer",
        "Avprenumerera",
        "Avsluta sms",
        "Stoppa alla sms",
    ),
    "nb": (
        "STOPP",
        "Stopp takk",
        "AVMELD",
        "Avmeld meg",
        "Meld meg av",
        "Stopp sms",
        "Fjern meg",
        "STOPP 40000000",
    ),
    "da": (
        "STOP",
        "Stop tak",
        "AFMELD",
        "Afmeld mig",
        "Meld mig fra",
        "FRAMELD",
        "Stop sms",
        "Venligst stop",
    ),
    "fi": (
        "STOP",
        "Stop kiitos",
        "SEIS",
        "Poista minut",
        "Poista numeroni",
        "Poista minut listalta",
        "Lopeta viestit",
        "Peru tilaus",
        "STOP tekstiviestit",
    ),
    "en": (
        "Please stop",
        "ok stop",
        "OK, stop.",
        "Stop texting me please",
        "stop sending me texts",
        "Stop messaging this number",
        "remove me",
        "Remove me from your list",
        "Remove my number please",
        "Take me off",
        "take me off the list",
        "unsubscribe",
        "Unsubscribe me please",
        "UNSUBSCRIBE\nSent from my phone",
        "opt out",
        "OPT-OUT",
        "Optout please",
        "STOP ALL",
        "stopall",
        "END",
        "Quit",
        "Quit please",
        "REVOKE",
        "no thanks, stop",
        "Thanks, stop",
        "STOP!!!! STOP",
        "stop it",
        "stop now please",
        "I said please stop",
    ),
}

ANSWER: dict[Language, tuple[str, ...]] = {
    "sv": (
        "Nej tack",
        "nej tack!",
        "Nejtack",
        "Nej tack\nMvh Ulla",
        "Avbryt",
        "Sluta",
        "Sluta nu",
        "Avsluta",
        "Nej tack, sluta",
        "Stoppa",
        "Snälla sluta",
    ),
    "nb": ("Nei takk", "Nei takk!", "Avslutt", "Slutt", "Kanseller"),
    "da": ("Nej tak", "Nej tak!", "Afslut", "Annuller", "Hold op"),
    "fi": ("Ei kiitos", "Ei kiitos.", "PERUUTA", "LOPETA", "POISTA"),
    "en": ("Cancel", "CANCEL", "Remove", "No thanks", "No, thank you", "no thanks"),
}

LIKELY: dict[Language, tuple[str, ...]] = {
    "sv": (
        "Verkstan STOPP",
        "Sluta skicka sådant till mig",
        "Kan ni sluta skicka sms till mig någon gång",
        "Jag vill inte ha fler sms från er",
        "Inga fler sms tack",
        "Jag har ju sagt STOPP",
        "Stoppa era utskick genast annars anmäler jag",
        "Jag vill avregistrera mig från det här",
        "Hur avanmäler man sig? Avanmäl mig från allt ni har",
        "Tack för allt, stopp",
        "Lämna mig i fred",
    ),
    "nb": (
        "Vennligst slutt å sende sms nå med en gang",
        "Jeg vil ikke ha ikke flere sms",
        "Kan dere avmelde? Avmeld meg fra alt sammen",
        "Verkstedet STOPP",
    ),
    "da": (
        "Kan I afmeld mig fra jeres liste",
        "Jeg siger det igen: STOP",
        "Ingen flere beskeder til mig",
    ),
    "fi": (
        "Voitteko lopettaa? En halua, stop",
        "Ei enää viestejä minulle",
        "Lopeta nämä viestit heti paikalla",
    ),
    "en": (
        "Stop worrying",
        "Can you stop",
        "Could you unsubscribe me from all of this",
        "I want to opt out of this",
        "Opt out how?",
        "No more texts from you guys",
        "Don't text me again",
        "Leave me alone",
        "You should remove me from whatever this is",
        "Stop sending these to my mother",
        "Wrong person. STOP",
    ),
}

LIKELY_ANSWER: dict[Language, tuple[str, ...]] = {
    "sv": ("Avbryt tack", "Avbryt detta", "Ta bort det", "Avsluta nu tack"),
    "nb": ("Avbryt takk", "Avbryt dette"),
    "da": ("Annuller tak", "Slet det"),
    "fi": ("Peruuta kiitos", "Poista tämä"),
    "en": ("CANCEL THIS", "Please cancel", "Remove it please", "cancel it all"),
}

NONE: dict[Language, tuple[str, ...]] = {
    "sv": (
        "Stopp i avloppet",
        "Det är stopp i avloppet igen",
        "Avbryt mötet",
        "Avbryt beställningen tack",
        "Nej tack, jag har redan en tid",
        "Nej",
        "Ja tack",
        "När slutar ni?",
        "Vi slutar klockan fem, ses då",
        "Sluta inte skriva till mig!",
        "Avregistrera inte mig, jag vill vara kvar",
        "Bilen fick motorstopp",
        "Ta bort bilen från gården",
        "Kan du avsluta mötet lite tidigare",
        "Vi ses vid busshållplatsen",
        "Skicka ett sms när du är framme",
    ),
    "nb": (
        "Stopp i røret på badet",
        "Avbryt møtet",
        "Nei takk, jeg har time allerede",
        "Når slutter dere?",
        "Ja takk",
    ),
    "da": (
        "Stop i afløbet",
        "Nej tak, jeg har allerede en tid",
        "Afslut mødet klokken tre",
        "Ja tak",
        "Vi ses ved skolen",
    ),
    "fi": (
        "Peruuta tapaaminen perjantailta",
        "Ei käy, mutta kiitos",
        "Älä lopeta",
        "Kiitos",
        "Poista auto pihalta",
    ),
    "en": (
        "Stop by tomorrow",
        "stop by later",
        "Cancel Tuesday please",
        "Cancel my appointment",
        "Can I cancel?",
        "Don't stop",
        "Bus stop",
        "Meet me at the bus stop",
        "Full stop",
        "Remove the old one",
        "End of story",
        "Quit smoking",
        "Non stop",
        "We start at nine",
        "I can't make it, sorry",
        "The train does not stop here",
        "Stop at the shop on your way",
    ),
}

_CLASSES: dict[Class, dict[Language, tuple[str, ...]]] = {
    "clear": CLEAR,
    "answer": ANSWER,
    "likely": LIKELY,
    "likely answer": LIKELY_ANSWER,
    "none": NONE,
}

TABLE: tuple[tuple[Language, str, Class], ...] = tuple(
    (language, text, name)
    for name, phrases in _CLASSES.items()
    for language, texts in phrases.items()
    for text in texts
)

ASKING = (
    "Vill du ha den?",
    "Hej! Vi har en tid på torsdag, vill du ha den? /Kliniken",
    "Kommer du i morgon ? Mvh Verkstan",
    "Svara JA för att boka tiden",
    "Svara JA eller AVBRYT",
    "Bekräfta genom att svara JA. Annars ringer vi.",
    "Reply YES to confirm your appointment",
    "Vastaa KYLLÄ jos sopii",
    "Kan du jobba i natt? Avsluta sms: svara STOP",
    "Passer det i morgen?",
)

NOT_ASKING = (
    "Påminnelse: din tid är på torsdag 10.00.",
    "20 % på alla däck hela veckan! Svara STOP för att slippa sms",
    "Vill du slippa sms? Svara STOP",
    "Avregistrera? Sms:a STOPP till 72345",
    "Läs mer på https://example.com/?kampanj=1",
    "Läs mer på example.com/tider?id=4",
    "Svara inte på detta sms",
    "Det går inte att svara på detta sms.",
    "Please do not reply to this message.",
    "Reply CANCEL to unsubscribe",
)
