"""Find sender names that imitate a bank, an authority or a known brand.

Names are compared by their skeleton, which reduces a name to what the eye sees: `P0LICE`, `Bank1D` and
`Swiish` are found, and names that are only similar (`Nordic`, `Klara`) are not. If a sender has more in it
than the name, the result depends on how distinctive the name is:

- A distinctive name of six letters or more is found if capitals or digits separate it (`NordeaOslo`), or if
  only words that fraudsters add are next to it (`NORDEALOGIN`).
- A short name or an ordinary word (`bank`, `police`) is found alone or next to such words only (`MinBank`),
  so that `FoodBank`, `MeetUps` and `SOSBarnbyar` pass.
- A brand that is also a first name or an everyday word (`Elisa`, `Bring`) is found next to such words only
  (`ElisaApp`).
"""

import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from itertools import accumulate, combinations, groupby
from typing import NamedTuple

_NAMES = {
    "banks": (
        "nordea swedbank seb handelsbanken danskebank sbab lansforsakringar lansfors lfbank skandia "
        "icabanken ikanobank avanza nordnet resursbank marginalen collectorbank norionbank sveabank "
        "forexbank landshypotek alandsbank alandsbanken northmill santander revolut entercard dnb sparebank "
        "sparebank1 sbanken storebrand gjensidige komplettbank instabank bankaxept norwegianbank "
        "banknorwegian landkreditt bulderbank jyskebank nykredit sydbank sparnord arbejdernes almbrand "
        "saxobank vestjyskbank totalkredit realkredit nationalbanken lunarbank osuuspankki opmobiili "
        "saastopankki aktia poppankki spankki omasp barclays barclaycard lloyds lloydsbank natwest hsbc "
        "halifaxbank monzo starlingbank tsb rbs firstdirect metrobank virginmoney coopbank tescobank "
        "bankofscotland bankofengland"
    ),
    "payment and identity": (
        "swish klarna paypal visa mastercard amex bankgirot plusgirot trustly zettle izettle qliro walley "
        "vipps dankort betalingsservice mobilepay siirto pivo applepay googlepay worldpay clearpay riverty "
        "westernunion moneygram binance coinbase metamask trustwallet cashapp bankid mobiltbankid frejaid "
        "freja24 mitid nemid nemkonto buypass idporten suomifi kivra eboks digipost digitalpost omaposti"
    ),
    "authorities": (
        "interpol europol sapo sakerhetspolisen polismyndigheten skatteverket skattverket skattev skv "
        "kronofogden kronof forsakringskassan forskassan forsakrkass forsakringk fkassan csn "
        "migrationsverket tullverket 1177 vardguiden sos sosalarm krisinfo krisinformation msb folkhalsan "
        "folkhalsomyndigheten pensionsmyndigheten arbetsformedlingen transportstyrelsen trafikverket "
        "bolagsverket socialstyrelsen konsumentverket lantmateriet jordbruksverket finansinspektionen "
        "kriminalvarden forsvarsmakten aklagarmyndigheten valmyndigheten riksbank riksbanken riksgalden "
        "skolverket boverket inspektionen skatteetaten nav altinn lanekassen tolletaten vegvesen vegvesenet "
        "helsenorge helfo udi brreg folkeregister folkeregisteret skattestyrelsen gaeldsstyrelsen "
        "toldstyrelsen motorstyrelsen borgerdk sundhedsstyrelsen sundhedsplatformen udbetalingdanmark "
        "feriepenge kela fpa omavero verohallinto omakanta traficom maistraatti ulosotto migri hmrc hmcts "
        "dvla dwp nhs govuk ukgov homeoffice tvlicensing tvlicence actionfraud companieshouse ofcom ofgem"
    ),
    "parcels": (
        "postnord dhl ups gls fedex budbee instabox instabee schenker dbschenker citymail airmee jetpak "
        "helthjem porterbuddy posti matkahuolto smartpost dao365 royalmail evri dpd parcelforce postoffice "
        "inpost usps omniva"
    ),
    "telephony": (
        "telia tele2 telenor comviq halebop vimla chilimobil comhem bahnhof bredband2 talkmore onecall "
        "lycamobile tdc yousee telmore oister lebara callme norlys saunalahti sonera elisamobiili "
        "dnamobiili vodafone giffgaff talktalk virginmedia plusnet btmobile threeuk voxi"
    ),
    "brands": (
        "google gmail youtube apple icloud itunes appstore microsoft office365 amazon facebook instagram "
        "whatsapp telegram snapchat tiktok linkedin netflix spotify disneyplus viaplay blocket tradera ica "
        "vinted airbnb bookingcom dropbox roblox"
    ),
}
"""Names that fraudsters use as sender in Sweden, Norway, Denmark, Finland and Britain."""

_GENERIC = (
    "bank banken mobilbank mobilbanken natbank sparbank sparbanken pankki verkkopankki polis polisen police "
    "politi politiet polizei poliisi domstol domstolen tullen tulli regering regeringen riksdagen posten "
    "lunar halifax nationwide pohjola"
)
"""Words, and names that are words or places too. In most compounds they are innocent."""

_EVERYDAY = (
    "elisa freja nets bring wise three chase dna hallon outlook steam yodel hermes borger kanta vero skat "
    "collector curve starling sky coop stripe"
)
"""Brands and authorities that are first names or everyday words, and harmless on their own."""

_INNOCENT_WORDS = (
    "amazonas civila ebooks forsakring klamma migrations minskat polls transports udbetaling vissa"
)
"""Ordinary words with the skeleton of a name, or of a name and an addition."""

_POSSESSIVE = "min mitt mina din ditt dina mit dit my your oma"

_ADDED = (
    f"{_POSSESSIVE} ny nya new www info inf kod koden code kode koodi konto account kund kunden kunde kunder "
    "customer service serv support help hjalp hjelp hjaelp hjalpen tjanst kundtjanst kundservice team "
    "teamet center central kontakt contact fraud app appen login logon logga loggain inlogg loggin signin "
    "pay payment betala betalning betaling maksu sms msg mail post alert alarm larm varsel varsling varning "
    "warning notis notice besked meddelande security secure sakerhet sikkerhet turva safe trygg verify "
    "verifiera verifisering confirm bekrafta auth id pin otp kort card spar spara sparning tracking track "
    "spor sporing seuranta paket parcel pakke paketti leverans levering delivery bud express order faktura "
    "invoice regning lasku refund skatt tax vard lan loan bank banken pankki mobil mobile mobilt online web "
    "net nett digital direkt direct portal update block sparr access sverige sweden norge norway danmark "
    "denmark finland suomi se no dk fi uk eu ab as oy ltd plc gov com nu now official"
)
"""Words that fraudsters put before or after a name."""


class _NameKind(Enum):
    """The position in a sender in which a name is found."""

    DISTINCTIVE = "separated, or next to additions"
    SHORT = "alone or next to additions"
    EVERYDAY = "next to additions"


class _Name(NamedTuple):
    written: str
    kind: _NameKind
    counts: tuple[int, ...]
    """Length of each run of a letter in the skeleton; a disguise may have one more, never fewer."""


def find_imitated_name(sender: str) -> str | None:
    """Return the bank, authority or brand that a sender name looks like, or None.

    Spaces do not disguise a name: it is compared without them (`SW ISH`), and they separate its parts.
    """
    words = sender.split(" ")
    sender = "".join(words)
    bounds = {0, *(piece.end() for piece in _PIECE.finditer(sender)), *accumulate(map(len, words))}
    spans = sorted(combinations(range(len(sender) + 1), 2), key=lambda span: span[0] - span[1])
    for start, end in spans:
        before, word, after = sender[:start], sender[start:end], sender[end:]
        is_separate = start in bounds and end in bounds
        for name in _names_like(word):
            if _imitates(name, before, after, is_separate=is_separate):
                return name.written
    return None


_PIECE = re.compile("[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]")
"""Pieces that capitals and digits separate.

Each digit is a piece, since it may disguise a letter or separate words.
"""

_SHORT = 5
"""Letters of a short name at most."""

_JOINED = 7
"""Letters that a short name and its additions have at least, if nothing separates them."""


def _imitates(name: _Name, before: str, after: str, *, is_separate: bool) -> bool:
    if (before + name.written + after).lower() in _INNOCENT:
        return False
    if is_separate and name.kind is _NameKind.DISTINCTIVE:
        return True
    if not re.fullmatch(_ADDITIONS, before) or not re.fullmatch(_ADDITIONS, after):
        return False
    if name.kind is _NameKind.EVERYDAY and not re.search("[A-Za-z]", before + after):
        return False
    return is_separate or name.kind is _NameKind.DISTINCTIVE or _is_joined(name, before, after)


def _is_joined(name: _Name, before: str, after: str) -> bool:
    return len(before + name.written + after) >= _JOINED and bool(re.fullmatch(_OWNED, before))


def _names_like(word: str) -> Iterator[_Name]:
    """Yield the names with the skeleton of a word, also if the word doubles letters."""
    if word.lower() in _INNOCENT:
        return
    letters, counts = _skeleton(word)
    for name in _known().get(letters, []):
        more = [count - own for count, own in zip(counts, name.counts, strict=True)]
        is_like = not any(more) or (len(name.written) > _NEVER_DOUBLED and set(more) <= {0, 1})
        if is_like and word.isdigit() == name.written.isdigit():  # 505 is not SOS, and `Litt` is not 1177
            yield name


_NEVER_DOUBLED = 3
"""Letters up to which a name with a doubled letter is another word: `Icca` is not ICA."""

_DIGITS_AS_LETTERS = str.maketrans("0123456789", "olzeasbtbg")


def _skeleton(word: str) -> tuple[str, tuple[int, ...]]:
    """Return the skeleton of a word, each run of a letter as one, and the runs' lengths."""
    folded = word.lower().translate(_DIGITS_AS_LETTERS).replace("i", "l")
    for pair, letter in ("r+n+", "m"), ("vv+", "w"), ("c+l", "d"):
        folded = re.sub(pair, letter, folded)
    runs = [(letter, len(list(run))) for letter, run in groupby(folded)]
    return "".join(letter for letter, _ in runs), tuple(count for _, count in runs)


_SEEN_AS = {letter: f"[{letter}{digit}]" for letter, digit in zip("olzeasbtg", "012345879", strict=True)}
_SEEN_AS |= dict.fromkeys("il", "[il1]")


def _pattern(words: str) -> str:
    """Return a pattern for any number of these words, disguised or not, and digits."""
    disguised = ("".join(_SEEN_AS.get(letter, letter) for letter in word) for word in words.split())
    return f"(?i)(?:[0-9]|{'|'.join(disguised)})*"


_ADDITIONS = _pattern(_ADDED)
_OWNED = _pattern(_POSSESSIVE)
_INNOCENT = frozenset(_INNOCENT_WORDS.split())

_LONGEST = 11
"""Characters of a sender name at most; longer names are cut to this length, or to one less."""


@cache
def _known() -> dict[str, list[_Name]]:
    long = " ".join(_NAMES.values()).split()
    kinds = {name: _NameKind.DISTINCTIVE if len(name) > _SHORT else _NameKind.SHORT for name in long}
    kinds |= dict.fromkeys(_GENERIC.split(), _NameKind.SHORT) | dict.fromkeys(
        _EVERYDAY.split(), _NameKind.EVERYDAY
    )
    known: dict[str, list[_Name]] = {}
    for whole, kind in kinds.items():
        cuts = {whole[:_LONGEST], whole[: _LONGEST - 1]} if len(whole) > _LONGEST else {whole}
        for name in cuts.difference(_INNOCENT):
            letters, counts = _skeleton(name)
            known.setdefault(letters, []).append(_Name(name, kind, counts))
    return known
