"""The guard on web addresses: links that phones make, and ways to disguise one.

A phone makes a link of `word.ending` if the ending is a top-level domain, so all of them are listed
here. Some are also words that follow a full stop without a space (`Tack.Vi ses`), units (`5.kg`) or file
extensions (`app.py`); their context separates these cases. An unclear case counts as a link, since an
unnecessary question costs less than a link that no person saw.
"""

import re

from elks_mcp.domain.cleaning import cleaned
from elks_mcp.domain.guards.facts import Facts, GuardResult
from elks_mcp.domain.normalization import normalize
from elks_mcp.domain.orders import Draft, Effect
from elks_mcp.domain.policy import Policy


def link(draft: Draft, _facts: Facts, _policy: Policy) -> GuardResult:
    """Ask about a text with a web address: a tool of fraud, and a way out for stolen data.

    An address that is spoken cannot be opened.
    """
    if draft.payload.IS_SPOKEN or not holds_link(draft.text):
        return None
    return Effect.ASK, "The text contains a web address."


_SAFE = "com|net|org|info|biz|eu|io|ltd|xyz|icu|cyou|cfd|sbs|shop|online"
"""Endings that mark an address even with spaces around the dot."""

_WRITTEN_OUT = (  # `re` compiles it at its first use, and caches it
    r"(?i)\w\s?:\s?/\s?/"  # any scheme: https, swish, bankid, intent
    r"|\bh\s?(?:t\s?t|x\s?x)\s?p\s?s?\s?(?:[:;]\s?[/\\]|//)\s?\S"  # a scheme that is misspelled
    r"|\b(?:bankid|bitcoin|ethereum|facetime|fb-messenger|intent|itms-apps|javascript|lightning|litecoin|mailto"
    r"|market|mobilepay|payto|sips?|skype|spotify|swish|tg|upi|viber|vipps|whatsapp):[^\s\d]"
    r"|\b(?:bitcoin|ethereum|litecoin):\d\w|\[[0-9a-f]*:[0-9a-f:.]+\][:/]\S"
    r"|\bgeo:-?\d|\b(?:callto|sms|smsto|tel):\+|\bsms(?:to)?:\d+[?;&]"
    r"|\bwww\d?\s?\.\s?\S"
    r"|\bxn--\S"
    r"|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d|/(?!\d{1,2}(?![\w./?-]))\S)"  # an IP address, not a network
    rf"|\w\s\.\s(?:{_SAFE})\b"
    r"|\w\.\s(?:com|net|org|ltd|xyz|icu|cyou|cfd|sbs|biz)\b"
    r"|\w,(?:com|net|org)\b"
)

_MARKS = "\u0900-\u0dff\u0e00-\u0e7f"
"""Scripts of top-level domains whose vowels are marks, which `\\w` does not match."""

_ENDING = rf"(?P<ending>(?:[^\W\d_]|[{_MARKS}])++)(?![\w{_MARKS}])"
_DOTTED = rf"(?<=[^\s!-/:-@\[-^`{{-~])\.{_ENDING}"
_BRACKETED = (
    rf"(?i)(?<=\w)\s?(?:\[\s?\.\s?\]|[(\[{{]\s?(?:dot|punkt|punktum|prikk|piste|\.)\s?[)\]}}])\s?{_ENDING}"
)
_SPACED = rf"(?i)(?<=\w)\s(?P<dot>\.|(?:dot|punkt|punktum|prikk|piste)\s){_ENDING}"

_ADDRESS_CONTINUES = r"/\S|\?\w+=|#\w|:\d"
"""A path, a query, a fragment or a port, which only an address can have."""

_SENTENCE_CONTINUES = r"[,;:]?[ \t]+\S|[ \t]*[!?,]|['’´]\w|-\w"
"""How a sentence continues after its first word."""


def holds_link(text: str) -> bool:
    """Return whether a text contains an address that a phone or a misled person would open."""
    plain = normalize("NFKC", cleaned(text).translate(_OTHER_DOTS))
    return (
        re.search(_WRITTEN_OUT, plain) is not None
        or any(_is_address(plain, dot) for dot in re.finditer(_DOTTED, plain))
        or any(_is_top_level(dot["ending"].lower()) for dot in re.finditer(_BRACKETED, plain))
        or any(_is_spelled(dot["dot"], dot["ending"]) for dot in re.finditer(_SPACED, plain))
    )


def _is_top_level(name: str) -> bool:
    from elks_mcp.domain.guards.top_level_domains import TOP_LEVEL_DOMAINS  # noqa: PLC0415  (most texts do not need the list)

    return name in TOP_LEVEL_DOMAINS


_CONTEXT = 64
"""Characters examined on each side of a dot: more than a label of a domain name has."""


def _is_address(plain: str, dot: re.Match[str]) -> bool:
    ending, name = dot["ending"], dot["ending"].lower()
    before = plain[max(0, dot.start() - _CONTEXT) : dot.start()]
    after = plain[dot.end() : dot.end() + _CONTEXT]
    if not _is_top_level(name):
        return _is_disguised(name, before)
    if _is_ordinary(before, name) or (ending.islower() and _is_file(before, name, after)):
        return False
    continues = re.match(_SENTENCE_CONTINUES, after) and not re.match(_ADDRESS_CONTINUES, after)
    return not (continues and _begins_sentence(before, ending))


def _begins_sentence(before: str, ending: str) -> bool:
    """Return whether `ending` can begin a sentence, such as a capital after a time."""
    name = ending.lower()
    if name in _ANY_CASE or (ending.istitle() and name in _OPENERS):
        return True
    if ending[0].isupper() and re.search(r"(?<![\w.:-])\d\d?(?:[.:]\d\d)?$", before):
        return True
    return ending.istitle() and name in _WORDS and not _ends_in_name(before)


def _ends_in_name(before: str) -> bool:
    """Return whether `before` ends in a name within a sentence: `Logga in på Exempel`, `ny-kod`."""
    *others, last = before.split()
    is_name = last[0].isupper() or re.search(r"[^\W\d_].*[\d-]|[\d-].*[^\W\d_]", last) is not None
    return is_name and bool(others) and others[-1][-1] not in ".!?"


def _is_disguised(name: str, before: str) -> bool:
    """Return whether other alphabets imitate a top-level domain, or are mixed with Latin."""
    if name.isascii() or not re.search("[\u0370-\u052f]", name):
        return False
    mixed = re.search("[a-z]", name) is not None
    return mixed or (before[-1].isascii() and _is_top_level(name.translate(_LOOK_LATIN)))


def _is_ordinary(before: str, name: str) -> bool:
    """Return whether `name` is a unit after a number, or `nr` after a noun that is numbered."""
    word = re.split(r"[\W_]", before)[-1].lower()
    return (word.isdigit() and name in _UNITS) or (name == "nr" and word in _NUMBERED)


def _is_file(before: str, name: str, after: str) -> bool:
    """Return whether this is the name of a file, perhaps with a line number: `app.py:12`."""
    if re.match(r"/\S|\?\w+=", after):
        return False
    file = re.split(r"[^\w.-]", before)[-1]
    if name == "py":  # Paraguay's names have two endings (`.com.py`)
        return not re.search("[.-]", file)
    return name in _FILES and ("_" in file or file.lower() in _FILE_NAMES)


def _is_spelled(dot: str, ending: str) -> bool:
    """Return whether a dot after a space, or a word for the dot, belongs to an address."""
    name = ending.lower()
    if name in _SPOKEN:
        return True
    if not _is_top_level(name) or name in _OPENERS | _WORDS | _ANY_CASE:
        return False
    if dot == ".":  # .NET is a platform, and `.zip` any such file
        return ending != "NET" and name not in _FILES
    return len(name) > _COUNTRY_LETTERS


_COUNTRY_LETTERS = 2
"""Letters of a country's top-level domain."""

_OTHER_DOTS = str.maketrans("。｡․·‧∙⋅・", "........")
_LOOK_LATIN = str.maketrans("асеорхуіјѕԁһԛԝкмтαοερνικτ", "aceopxyijsdhqwkmtaoepvikt")


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split())


_ANY_CASE = _words("om vi")
"""Top-level domains that often begin a Swedish clause, with or without a capital."""

_OPENERS = _words(
    "able af am as at be by de do er et fast ge got here hm how in is it jo la li man me med men mit mm my "
    "ne new next ni no now nu one si so to us va vet you"
)
"""Top-level domains that, with a capital, begin a sentence whose space is missing."""

_WORDS = _words(
    "actor art auto baby band bank bar beer best bet bid bike bio black blue bo book box build business buy "
    "cab call camera camp capital car cards care career cars cash cat chat cheap christmas church city "
    "coffee college company compare contact cooking cool credit cruise dad dance data day deal design diet "
    "discover doctor dog drive eat eco education email energy events exchange express fail faith fan farm "
    "feedback film final financial fire fish fit flowers fly food football forum free fun fund game games "
    "garden gift gifts giving glass gold golf gratis green group guide health help host hot hotel house id "
    "info insurance jobs joy kids kim land law legal life like limited link live living love map marketing "
    "markets media meet mobile money monster movie mr ms music name network news open page parts party pay "
    "phone photo photos pictures ping pizza place play plus pm post press prime prod promo protection ps "
    "quest radio read red reise ren rent repair report rest restaurant review room run safe safety salon "
    "save school science search seat secure security seek select services sex show sky smart smile soccer "
    "social song spa space sport spot star storage store stream studio study style support tab talk target "
    "tax taxi team tech tickets tips today tools total town toys trade trading training travel trust video "
    "vin visa vote watch weather web wedding win windows wine work works world wow yoga zero"
)
"""Top-level domains that do so less often, and that real addresses use: not after a name."""

_UNITS = _words("am cm gb gr hr kg km kr mg mil ml mm mp ms pm st tr")
"""Top-level domains that are units after a number."""

_NUMBERED = _words(
    "art best dörr faktura id konto kort kund kö lgh linje mob mobil order org pers person plats port ref "
    "reg rum serie spår tel telefon"
)
"""Words before `nr`, which is Swedish for number and the top-level domain of Nauru."""

_FILES = _words("md pl py rs sh so tf zip")
_FILE_NAMES = _words(
    "api app archive backup build changelog cleanup config contributing cron data db deploy docs entrypoint "
    "export faq handbook import index init install job lib license logs main manage migrate mod models "
    "monitor notes outputs plan providers readme release report restart restore rollback run runbook script "
    "security server setup start stop sync test tests todo update utils variables worker"
)
"""Names of files whose extension is also a top-level domain (`README.md`, `deploy.sh`)."""

_SPOKEN = _words("cc co dk eu fi io nu ru se")
"""Country domains that are not ordinary words after a word for the dot."""
