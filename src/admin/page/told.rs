//! A sentence of ours with what stands in backticks set as code.

use super::words::visible;

/// A piece of a sentence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) is_code: bool,
}

/// The pieces of a sentence, cut at `most` characters.
pub(super) fn told(sentence: &str, most: usize) -> Vec<Piece> {
    let (text, is_cut) = match sentence.char_indices().nth(most) {
        Some((end, _)) => (sentence.get(..end).unwrap_or_default(), true),
        None => (sentence, false),
    };
    let mut pieces: Vec<Piece> = text
        .split('`')
        .enumerate()
        .map(|(index, text)| Piece { text: visible(text), is_code: index % 2 == 1 })
        .filter(|piece| !piece.text.is_empty())
        .collect();
    if is_cut {
        pieces.push(Piece { text: "…".to_owned(), is_code: false });
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_backticks_is_code_and_a_long_sentence_is_cut() {
        let pieces = told("`/a` is missing in <b>, on `/x`.", 29);
        let shown: Vec<(&str, bool)> = pieces.iter().map(|p| (p.text.as_str(), p.is_code)).collect();
        assert_eq!(shown, [("/a", true), (" is missing in <b>, on ", false), ("/", true), ("…", false)]);
    }
}
