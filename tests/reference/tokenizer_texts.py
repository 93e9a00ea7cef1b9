"""Strings that trip tokenizers: scripts, code, emoji, numbers and broken white space, mixed at random from a seed."""

import random

WORDS = """
the of and to in is that for it as with was on be by at from this have are not or an which you one we all
straße Größe über naïve café Ærøskøbing señor coração œuvre İstanbul ılık Łódź Škoda čeština ģimene ŋgaŋ
ﬁne ﬀ oﬃce Ⅷ ⅷ ª º µ ſteht ẞ ß ŉ ǅ ǆ ᴬᵇ ₓ
Ελληνικά ΣΊΣΥΦΟΣ σίσυφος русский язык Ёлка ёж українська ґанок Хӏа ქართული ᲥᲐᲠᲗᲣᲚᲘ Հայերեն և אבג שָׁלוֹם עולם
العربية مُحَمَّد سلام ۱۲۳ ٤٥٦ فارسی می‌خواهم اردو ہے हिन्दी क्षत्रिय नमस्ते १२३ বাংলা ক্ষ தமிழ் ஸ்ரீ తెలుగు ಕನ್ನಡ മലയാളം සිංහල
ภาษาไทย กำลังใจ น้ำ ລາວ မြန်မာ ខ្មែរ བོད་ཡིག አማርኛ ᏣᎳᎩ Ꭰ ᚠᚢᚦ ⴰⵣⵓⵍ ߒߞߏ 𐐀𐐨 𞤀𞤢 𝔘𝔫𝔦 𝒳 𒀀 𓀀
中文 漢字 简体字 龥 鿿 㐀 𠀀 𪜀 豈 豈 日本語 ひらがな カタカナ ｶﾀｶﾅ ー 々 〆 한국어 가각 힣 ㄱㄴ 한 ꥠ ᄒ
""".split()
ENGLISH = """
I've you're he'll she'd they're we'Ll IT'S DON'T don'T can't y'all'd've rock'n'roll 'tis 'twas o'clock James' 's 'S 'ſ 'll 'LL 're 'D 'm 'ſſ
HTTPServer camelCase snake_case SCREAMING_SNAKE kebab-case XMLHttpRequest iPhone McDonald eBay LaTeX OpenAI GPT-4o
hello world Hello WORLD the quick brown fox jumps over the lazy dog tokenization antidisestablishmentarianism
""".split()
MARKS = ["e\u0301", "n\u0303o", "a\u0308", "Z\u0351\u036b\u0343a\u033f\u0348l\u0359g\u0349o", "\u0301", "o\u0328\u0304",
         "a\u0323\u0302", "\u05b8", "\u0e33", "\u093c", "u\u031b\u0300", "Vie\u0302\u0323t", "A\u030a", "\u212b", "\u1e69",
         "\u0f71\u0f72\u0f74", "\u1161\u11a8", "\ufb1d", "\u20dd", "1\u20e3"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "🇩🇪", "🇺🇸🇫🇷", "1️⃣", "☕", "☕️", "🧑🏿‍🚀", "❤️‍🔥", "🐝🐝", "\U0001fae8", "©", "™", "↔️", "♀", "🤷‍♂️", "🀄", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"]
SPACES = [" ", " ", " ", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r", "\n \n", " \n", "\n  ", "\t\t\t", "\u00a0", "\u2003", "\u200b", "\ufeff",
          "\u3000", "\u0085", "\u2028", "\u2029", "\x0b", "\x0c", "\u202f", "\u1680", "\u180e", "\u2009\u200a", "\u00ad", "\u2060", "\u200d", "\u200e", "\x1c", "\x1f", " " * 17, "\n" * 9, " \t \r\n \t"]
SIGNS = list("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") + ["...", "…", "—", "–", "«", "»", "„", "“", "”", "‘", "’", "¿", "¡", "。", "、", "，", "！", "？", "「」", "・", "～", "（", "）",
         "€", "£", "¥", "₿", "±", "×", "÷", "≠", "∑", "∞", "→", "⇒", "█", "░", "☃", "♪", "№", "§", "¶", "†", "•", "·", "،", "؟", "۔", "।", "׃", "᠃", "//", "/*", "*/", "->", "=>", "::", "!=", "==", "&&", "||", "</", "/>", "{{", "}}", "\\n", "```", "---", "***", "$$", "∂", "﹏", "︰", "￥", "ꙮ"]
NUMBERS = ["0", "7", "42", "007", "1234", "12345", "1,234,567.89", "3.14159", "1e-10", "0xDEADBEEF", "0b1010", "1_000_000", "-273.15", "50%", "²", "x³", "½", "¾", "①", "⑳", "Ⅻ", "１２３", "٣", "৪", "๕", "零", "十", "10:30", "2024-02-29T23:59:60Z", "192.168.0.1", "+1 (555) 010-9999", "v1.2.3-rc.4", "𝟘𝟙", "㉈", "〇", "9" * 40]
CODE = [
    "fn main() {\n    let mut v: Vec<&'a str> = vec![];\n    println!(\"{v:?}\");\n}\n",
    "def f(x: int = 0) -> dict[str, int]:\n\treturn {'k': x ** 2 for _ in range(3)}  # ok?\n",
    "#include <stdio.h>\nint main(void){printf(\"%d\\n\",1<<3);return 0;}\n",
    "const f = async ({a, ...b}) => `${a ?? 'x'}`; // ✓\n",
    "SELECT t.*, COUNT(*) FROM \"t\" WHERE a<>'b''c' GROUP BY 1;\n",
    "<div class=\"a b\">&nbsp;<br/></div><!-- c -->",
    "{\"a\":[1,2.5,-3e8,null,true],\"b\":\"\\u00e9\\n\"}",
    "for i in $(seq 1 10); do echo \"$i\" | sed 's/1/x/g' >>/dev/null; done\n",
    "\\begin{equation}\\frac{\\partial f}{\\partial x}=\\sum_{i=0}^{n}x_i\\end{equation}",
    "if (x >= 10 && !y) {\r\n\t\tz[i++] += 0x1F;\r\n}\r\n",
    "impl<T: Into<String>> From<T> for A<'_> where T: 'static {}\n",
    "+++ b/file.py\n@@ -1,2 +1,3 @@\n-    pass\n+\tpass\n",
    "https://example.org/a/b?q=1&r=%20#frag user@example.com C:\\Users\\x\\n",
    "<?php echo $a['b']->c(); ?>\n", "class A:\n\n    def __init__(self): ...\n\n\n", "λx.∀y∈ℝ: y≥x ∧ ¬(x≠y)",
]
SPECIAL = ["<|endoftext|>", "<|im_start|>user\n", "<|im_end|>\n", "<tool>", "<tool", "</tool>", "<|im_", "</s>", "<s>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "<0x0A>", "<0xE4>",
           "\u2581", "\u2581\u2581a", "##ing", "<user_piece>", "<ctrl>", "<mask>", "Ġ", "Ċ", "ĠĠa"]
RUNS = ["a" * 300, " " * 300, "\n" * 200, "!" * 150, "ab" * 120, "\t " * 80, "é" * 100, "漢" * 100, "👍" * 40, "0" * 130, "-" * 257, "A" * 101, "word" * 30, "x" * 99 + "é", "_" * 64]
POOLS = [(WORDS, 6), (ENGLISH, 8), (MARKS, 2), (EMOJI, 2), (SPACES, 5), (SIGNS, 4), (NUMBERS, 4), (CODE, 2), (SPECIAL, 0.7), (RUNS, 0.15)]


def any_character(rng):
    """One code point, from all of Unicode or the first planes; assigned or not, never a surrogate."""
    while True:
        code = rng.randrange(1, rng.choice([0x250, 0x3000, 0x10000, 0x20000, 0x110000]))
        if not 0xD800 <= code <= 0xDFFF:
            return chr(code)


def text(rng, pools):
    """One string of 1 to about 40 parts."""
    pools, weights = zip(*pools)
    parts = []
    for _ in range(rng.choice([1, 2, 3, 5, 8, 13, 20, 40])):
        if rng.random() < 0.04:
            parts.append("".join(any_character(rng) for _ in range(rng.randrange(1, 6))))
        else:
            part = rng.choice(rng.choices(pools, weights)[0])
            parts.append(part.upper() if rng.random() < 0.05 else part)
        if rng.random() < 0.6:
            parts.append(rng.choice(SPACES) if rng.random() < 0.3 else " ")
    return "".join(parts)


def texts(count, seed, special=True):
    """`count` strings, the same for the same seed; the first ones are edge cases. Without `special`, none has the
    text of a control token: those that train a vocabulary must not, or it becomes a piece like any other."""
    rng = random.Random(seed)
    pools = [pool for pool in POOLS if special or pool[0] is not SPECIAL]
    edges = ["", " ", "  ", "\n", "\r\n", "\0", "a", " a", "a ", "\ufeff", "\u2581", "'", "''", "\t\n", " \u3000 "]
    return (edges + [text(rng, pools) for _ in range(count)])[:count]


def code_points(size=32):
    """Every code point once, `size` to a string, each between letters and a space so that its kind shows."""
    codes = [c for c in range(1, 0x110000) if not 0xD800 <= c <= 0xDFFF]
    return ["".join(f"a{chr(c)}b {chr(c)}1" for c in codes[i:i + size]) for i in range(0, len(codes), size)]
