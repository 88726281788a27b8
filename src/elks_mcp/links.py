"""Web addresses in a text: what phones make a link of, and what people do to hide one."""

import re
import unicodedata

from elks_mcp.text import cleaned

_TOP_LEVEL = (
    "ac|ae|ag|ai|app|ar|asia|at|au|bank|bar|be|best|bg|bid|biz|blog|bond|br|buzz|by|bz|ca|cam|cash|cat|cc|cf|cfd|ch|"
    "chat|ci|cl|click|cloud|club|cm|cn|co|com|company|cx|cyou|cz|de|dev|digital|dk|edu|ee|email|es|eu|express|"
    "fi|finance|fit|fo|fr|fun|fyi|ga|gd|gg|gl|global|goo|gov|gq|gr|group|gs|help|hk|host|hr|hu|icu|id|ie|il|"
    "in|info|ink|int|io|ir|is|it|jp|ke|kim|kr|kz|la|li|life|link|live|loan|lol|lt|lu|lv|ly|mail|"
    "media|me|mil|ml|mobi|money|monster|mov|mx|my|name|net|network|news|ng|ninja|nl|no|nu|nz|one|onl|online|"
    "ooo|org|page|party|ph|pics|pk|pl|plus|porn|post|pro|pt|pub|pw|qpon|quest|re|rent|rest|review|ro|rs|ru|run|"
    "sbs|se|services|sg|sh|shop|si|site|sk|skin|social|space|store|stream|su|support|surf|systems|team|tech|tel|"
    "th|tips|tk|to|today|tokyo|tools|top|tr|trade|tv|tw|ua|uk|us|vc|vip|vn|wang|webcam|website|wf|wiki|win|work|"
    "world|ws|wtf|xin|xyz|za|zip|zone|рф|укр|бел|срб"
)
_SENTENCE_WORDS = (
    "At|Be|Best|By|De|Email|Fun|Help|I[dnst]|Info|Kim|La|Li|Life|Link|Live|Mail|Me|My|News|No|Nu|One|Party|Post|"
    "Re|Rest|Si|So|Team|Tips|To|Today|Us|Win|Work"
)
_LINK = (  # compiled when first needed, and kept, by `re` itself
    r"(?i)\bh\s?(?:t\s?t|x\s?x)\s?p\s?s?\s?(?:[:;]\s?/?/?|//)\s?\S"  # a scheme, whole or pulled apart
    r"|\b(?:ftp|mailto|whatsapp|sms|tel)\s?:\s?//\S"
    r"|\b(?:mailto|whatsapp|sms|tel):[+a-z]"
    r"|\bwww\d?\s?\.\s?\S"
    r"|\bxn--\S"
    r"|(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?=[:/]\S)"  # an IP address with a port or a path
    r"|\w\.[^\W\d_]{2,}/\S"  # any name with a path
    rf"|\w\.(?-i:(?!(?:{_SENTENCE_WORDS})\b(?!/)))(?:{_TOP_LEVEL})\b"
    rf"|\w\s?(?:\[\s?\.\s?\]|[(\[{{]\s?(?:dot|punkt|\.)\s?[)\]}}]|\s\.)\s?(?:{_TOP_LEVEL})\b"
    r"|\w\s(?:dot|punkt)\s(?:com|net|org|se|nu|info|eu|io)\b"
    r"|\w\.\s(?:com|net|org)\b"
    r"|\w\.(?=\w*[a-z])(?=\w*[\u0370-\u052f])\w{2,}"  # an ending of letters from two alphabets
)
"""What phones make a link of, and what people do to hide one. Better one question too many.

So `Hör av dig.Se till att` is taken for a link, as phones take it; but not where the word
behind the dot is an ordinary one with a capital and no path follows (`Hej.Me and you`), nor
where it is no ending of addresses that fraud is known to use (`Hej.Vi ses`, `t.ex`, `kl.15`).
"""

_OTHER_DOTS = str.maketrans("。｡․·", "....")


def holds_link(text: str) -> bool:
    """Tell whether a text holds what a phone, or a person told how, would open as an address."""
    plain = unicodedata.normalize("NFKC", cleaned(text).translate(_OTHER_DOTS))
    return re.search(_LINK, plain) is not None
