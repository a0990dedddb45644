//! HTML character references inside text that should have none left.

/// Longest reference looked for, `&` and `;` included.
const LONGEST: usize = 12;

/// The references that escaping functions write; others are left as they are.
const NAMED: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("hellip", '…'),
];

/// Decodes character references once.
pub(super) fn decode(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let head = after.get(..after.floor_char_boundary(LONGEST)).unwrap_or(after);
        match head.split_once(';').and_then(|(name, _)| Some((name, character(name)?))) {
            Some((name, character)) => {
                decoded.push(character);
                rest = after.get(name.len() + 1..).unwrap_or_default();
            }
            None => {
                decoded.push('&');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded
}

fn character(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return NAMED.iter().find(|(known, _)| *known == name).map(|(_, character)| *character);
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
        None => number.parse(),
    };
    code.ok().and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_what_escaping_writes_and_nothing_else() {
        for (text, decoded) in [
            ("a &amp; b", "a & b"),
            ("&#39;&#x27;&quot;", "''\""),
            ("&amp;amp;", "&amp;"),
            ("R&D; & more", "R&D; & more"),
            ("&unknown;", "&unknown;"),
            ("&#xD800;", "&#xD800;"),
            ("&é;", "&é;"),
            ("&", "&"),
        ] {
            assert_eq!(decode(text), decoded, "{text}");
        }
    }
}
