"""What a reader sees of a template in a sentence of the Japanese Wikipedia.

Chosen by what stands in sentences there: words in other languages, readings, links to articles that do not exist yet,
doubtful passages, small or coloured words, measures, quotations, names of countries. Of all others nothing is shown.
"""

import re

_DISAMBIGUATION = {"aimai", "disambig", "disambiguation", "dab", "hndis", "disamb"}

_LANGUAGES = dict(
    re.findall(
        r"(\w+):(\S+)",
        """
        en:英語 fr:フランス語 de:ドイツ語 es:スペイン語 it:イタリア語 pt:ポルトガル語 ru:ロシア語 zh:中国語 ko:朝鮮語 ja:日本語 la:ラテン語
        ar:アラビア語 nl:オランダ語 el:ギリシア語 grc:古代ギリシア語 he:ヘブライ語 fa:ペルシア語 tr:トルコ語 hi:ヒンディー語 sa:サンスクリット
        th:タイ語 vi:ベトナム語 km:クメール語 lo:ラーオ語 my:ビルマ語 id:インドネシア語 ms:マレー語 tl:タガログ語 mn:モンゴル語 bo:チベット語
        ur:ウルドゥー語 bn:ベンガル語 ta:タミル語 ne:ネパール語 si:シンハラ語 pl:ポーランド語 cs:チェコ語 sk:スロバキア語 hu:ハンガリー語
        ro:ルーマニア語 bg:ブルガリア語 sr:セルビア語 hr:クロアチア語 bs:ボスニア語 sl:スロベニア語 mk:マケドニア語 sq:アルバニア語
        uk:ウクライナ語 be:ベラルーシ語 et:エストニア語 lv:ラトビア語 lt:リトアニア語 fi:フィンランド語 sv:スウェーデン語 no:ノルウェー語
        da:デンマーク語 is:アイスランド語 ga:アイルランド語 gd:スコットランド・ゲール語 cy:ウェールズ語 br:ブルトン語 eu:バスク語
        ca:カタルーニャ語 gl:ガリシア語 mt:マルタ語 ka:グルジア語 hy:アルメニア語 az:アゼルバイジャン語 kk:カザフ語 uz:ウズベク語
        ky:キルギス語 tg:タジク語 tk:トルクメン語 ku:クルド語 ps:パシュトー語 sw:スワヒリ語 am:アムハラ語 af:アフリカーンス語
        qu:ケチュア語 ht:ハイチ語 lb:ルクセンブルク語 eo:エスペラント ang:古英語 sg:サンゴ語 fry:フリジア語 pap:パピアメント語
        crh:クリミア・タタール語 pau:パラオ語 tt:タタール語 yi:イディッシュ語 mi:マオリ語 haw:ハワイ語 ain:アイヌ語
        """,
    )
)
_SHORT_NAMES = dict(
    zip(re.findall(r"\w+", "en fr de es it pt ru zh ko nl la el pl vi"), "英仏独西伊葡露中朝蘭羅希波越", strict=True)
)
_COUNTRIES = dict(
    re.findall(
        r"(\w+):(\S+)",
        """
        JPN:日本 USA:アメリカ合衆国 GBR:イギリス UK:イギリス FRA:フランス GER:ドイツ DEU:ドイツ ITA:イタリア ESP:スペイン PRT:ポルトガル
        POR:ポルトガル NED:オランダ NLD:オランダ BEL:ベルギー CHE:スイス SUI:スイス AUT:オーストリア IRL:アイルランド DEN:デンマーク
        DNK:デンマーク NOR:ノルウェー SWE:スウェーデン FIN:フィンランド ISL:アイスランド POL:ポーランド CZE:チェコ SVK:スロバキア
        HUN:ハンガリー ROU:ルーマニア BUL:ブルガリア BGR:ブルガリア SRB:セルビア CRO:クロアチア HRV:クロアチア SLO:スロベニア
        SVN:スロベニア BIH:ボスニア・ヘルツェゴビナ GRE:ギリシャ GRC:ギリシャ TUR:トルコ RUS:ロシア UKR:ウクライナ BLR:ベラルーシ
        EST:エストニア LAT:ラトビア LVA:ラトビア LTU:リトアニア URS:ソビエト連邦 VAT:バチカン EUR:欧州連合 EU:欧州連合 CHN:中華人民共和国
        PRC:中華人民共和国 ROC:中華民国 TPE:チャイニーズタイペイ TWN:台湾 HKG:香港 KOR:韓国 ROK:韓国 PRK:北朝鮮 MON:モンゴル
        MGL:モンゴル VIE:ベトナム VNM:ベトナム THA:タイ CAM:カンボジア KHM:カンボジア LAO:ラオス MYA:ミャンマー MMR:ミャンマー
        MAS:マレーシア MYS:マレーシア SIN:シンガポール SGP:シンガポール IDN:インドネシア INA:インドネシア PHI:フィリピン PHL:フィリピン
        BRN:ブルネイ TLS:東ティモール IND:インド PAK:パキスタン BAN:バングラデシュ BGD:バングラデシュ SRI:スリランカ LKA:スリランカ
        NEP:ネパール AFG:アフガニスタン KAZ:カザフスタン UZB:ウズベキスタン IRN:イラン IRI:イラン IRQ:イラク ISR:イスラエル
        SAU:サウジアラビア KSA:サウジアラビア UAE:アラブ首長国連邦 ARE:アラブ首長国連邦 QAT:カタール EGY:エジプト RSA:南アフリカ共和国
        ZAF:南アフリカ共和国 NGR:ナイジェリア NGA:ナイジェリア KEN:ケニア ETH:エチオピア MAR:モロッコ ALG:アルジェリア DZA:アルジェリア
        TUN:チュニジア GHA:ガーナ CMR:カメルーン SEN:セネガル CAN:カナダ MEX:メキシコ CUB:キューバ JAM:ジャマイカ NIC:ニカラグア
        BRA:ブラジル ARG:アルゼンチン CHI:チリ CHL:チリ PER:ペルー COL:コロンビア VEN:ベネズエラ URU:ウルグアイ URY:ウルグアイ
        PAR:パラグアイ PRY:パラグアイ BOL:ボリビア ECU:エクアドル AUS:オーストラリア NZL:ニュージーランド PNG:パプアニューギニア
        FJI:フィジー KIR:キリバス MHL:マーシャル諸島 PLW:パラオ WSM:サモア SLB:ソロモン諸島 VUT:バヌアツ VAN:バヌアツ TON:トンガ
        NIU:ニウエ NRU:ナウル TUV:ツバル FSM:ミクロネシア連邦 UN:国際連合
        """,
    )
)
_SHOWN = {
    name: shown
    for names, shown in (
        ("仮リンク/ill/ill2/illm/日本語版にない記事リンク/link-en/visible anchor/vanc", "{label}|{text}|{1}"),
        ("weight/color/colour/fontcolor/resize/fontsize/size/拡張漢字/columns-list", "{2}|{1}"),
        ("font color/colors/transl/transliteration/interlang", "{3}|{2}"),
        ("audio/audio-nohelp/audio-ipa", "{4}（{5}）|{4}|{2}"),
        ("lang/rtl-lang/lang2", "{2}"),
        ("llang", "{2} {3}|{2}"),
        ("langwithname", "{2}: {3}|{3}"),
        ("ルビ/ruby/ふりがな/読み仮名/読み仮名 ruby不使用/ruby-ja/rb", "{1}（{2}、{3}）|{1}（{2}）|{1}"),
        ("nihongo/nihongo2/nihongo3", "{1}（{2}、{3}）|{1}（{2}）|{1}"),
        (
            "quote/quotation/cquote/引用/blockquote/squote/bquote/quote box/quotebox",
            "\n{1}\n{2}、{3}\n|\n{1}\n{2}\n|\n{1}\n|\n{quote}\n",
        ),
        ("sfrac/frac/分数/fraction", "{1}/{2}|1/{1}"),
        ("isbn/isbn2", "ISBN {1}"),
        ("us$/usd", "{1}米ドル"),
        ("jpy/yen/円", "{1}円"),
        ("e", "×10^{1}"),
        ("formatnum/val", "{1}"),
        (
            "nowrap/nobr/nobreak/small/smaller/small2/big/bigger/large/larger/huge/center/centered/中央/bold/太字/b/i/em/italic/italics"
            "/strong/sup/sub/mvar/var/code/kbd/key/underline/下線/u/取消線/strike/傍点/圏点/indent/字下げ/nobold/noitalic/normal/hebrew"
            "/nastaliq/unicode/簡体字/繁体字/ピン音/拼音/by/by2/年/abbr/行内引用/強調/flag/flagcountry/plainlist/flatlist/poem/sic/pdflink"
            "/縦書き/chem2",
            "{1}",
        ),
    )
    for name in names.split("/")
}
_LISTS = {"ubl": "\n", "unbulleted list": "\n", "bulleted list": "\n", "ordered list": "\n", "hlist": "・", "chem": ""}
_SIGNS = {"!": "|", "=": "="}
_KEY = re.compile(r"[\w -]{1,40}")
_FIELD = re.compile(r"\{(\w+)\}")
_LANGUAGE = re.compile(r"lang-([a-z]{2,3})(?:-(?!short)[a-z]+)*(-short)?")
_PHONETIC = re.compile(r"ipa\d?|(?:ipa|pron)-\w+|ipalink")
_SUPERSCRIPT = str.maketrans("23", "²³")


def show_template(name: str, parts: list[str]) -> str:
    """What a reader sees of a template; empty for nothing. The parts are its arguments as they are written.

    >>> show_template("仮リンク", ["権利の章典", "en", "Bill of Rights"])
    '権利の章典'
    """
    key = name.lower().removeprefix("template:")
    if key in _SIGNS:
        return _SIGNS[key]
    if key.startswith("formatnum:"):
        return key[10:]
    given = _arguments(parts)
    first = given.get("1", "")
    if key in _LISTS:
        return _LISTS[key].join(value for at, value in given.items() if at.isdigit())
    if first and (match := _LANGUAGE.fullmatch(key)):
        language = _LANGUAGES.get(match[1], "")
        language = _SHORT_NAMES.get(match[1], language) if match[2] else language
        return f"{language}: {first.strip()}" if language else first
    if first and _PHONETIC.fullmatch(key):
        first = first.strip()
        return first if first[0] in "[/" else f"[{first}]"
    if key in ("convert", "cvt", "単位変換"):
        return _measure(given)
    if key in ("flag", "flagcountry"):
        return _COUNTRIES.get(first.strip(), first)
    if key in _SHOWN:
        return _fill(_SHOWN[key], given)
    return first if key.endswith(("範囲", "フォント")) or name in _LANGUAGES else _COUNTRIES.get(name, "")


def marks_disambiguation(name: str) -> bool:
    """Whether a template says that its page only tells apart what bears the same name."""
    return name.lower() in _DISAMBIGUATION or (name.endswith("曖昧さ回避") and not name.startswith("要"))


def _arguments(parts: list[str]) -> dict[str, str]:
    """The arguments of a template that are not empty, by name or number."""
    given: dict[str, str] = {}
    number = 0
    for part in parts:
        key, sign, value = part.partition("=")
        key = key.strip()
        if not sign or not _KEY.fullmatch(key):
            number += 1
            key, value = str(number), part.strip("\n")
        else:
            value = value.strip()
        if value.strip():
            given[key] = value
    return given


def _fill(shown: str, given: dict[str, str]) -> str:
    """The first of the alternatives whose arguments are all given."""
    for alternative in shown.split("|"):
        if all(key in given for key in _FIELD.findall(alternative)):
            return _FIELD.sub(lambda match: given[match[1]], alternative)
    return ""


def _measure(given: dict[str, str]) -> str:
    """Number and unit of {{convert|20273|km2|sqmi}}, or both numbers of {{convert|10|to|20|km}}."""
    size, unit = given.get("1", "").strip(), given.get("2", "").strip()
    if unit in ("to", "-", "–", "and", "や"):
        size, unit = f"{size}–{given.get('3', '').strip()}", given.get("4", "").strip()
    return size + (unit[:-1] + unit[-1].translate(_SUPERSCRIPT) if unit else "")
