//! Scripts: the JSON in them, and the code around it.

use bumpalo::Bump;

use crate::compare::hash::{self, mixed};
use crate::compare::json::{Node, parse, parse_prefix};

/// Most assignments looked at in one script.
const ASSIGNMENTS: usize = 64;

/// A script's content.
#[derive(Clone, Copy)]
pub(crate) struct Script<'t> {
    /// As written.
    pub(crate) text: &'t str,
    /// The code, with white space folded and a mark in place of each piece of data.
    pub(crate) code: &'t str,
    /// The data by the name it is assigned to; without a name if it is all there is.
    pub(crate) data: &'t [(&'t str, Node<'t>)],
}

impl<'t> Script<'t> {
    /// A script whose type says that it is JSON.
    pub(super) fn json(text: &'t str, depth: usize, arena: &'t Bump) -> Self {
        match parse(text, depth, arena) {
            Ok(node) => Self { text, code: "", data: arena.alloc_slice_copy(&[("", node)]) },
            Err(_) => Self { text, code: arena.alloc_str(&folded(text)), data: &[] },
        }
    }

    /// Code, in which `name = [...]` and `name = {...}` are data where they are JSON.
    pub(super) fn code(text: &'t str, depth: usize, arena: &'t Bump) -> Self {
        let mut code = String::new();
        let mut data: Vec<(&str, Node<'_>)> = Vec::new();
        let mut rest = text;
        let mut tried = 0;
        while let Some((before, after)) = rest.split_once('=') {
            code.push_str(before);
            code.push('=');
            rest = after;
            let value = after.trim_start();
            if tried == ASSIGNMENTS || !value.starts_with(['[', '{']) {
                continue;
            }
            let Some(name) = assigned(before) else { continue };
            tried += 1;
            if let Ok((node, end)) = parse_prefix(value, depth, arena) {
                code.push('\u{fffc}');
                data.push((name, node));
                rest = value.get(end..).unwrap_or_default();
            }
        }
        code.push_str(rest);
        Self { text, code: arena.alloc_str(&folded(&code)), data: arena.alloc_slice_copy(&data) }
    }

    pub(super) fn hash(&self) -> u64 {
        self.data.iter().fold(hash::text(self.code), |state, (name, node)| {
            mixed(mixed(state, hash::text(name)), node.hash())
        })
    }
}

/// The name at the end of what stands before `=`.
fn assigned(before: &str) -> Option<&str> {
    let trimmed = before.trim_end();
    let start = trimmed.rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').map_or(0, |at| {
        at + trimmed.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    trimmed.get(start..).filter(|name| !name.is_empty())
}

fn folded(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !folded.is_empty() {
            folded.push(' ');
        }
        folded.push_str(word);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_of_json_are_data() {
        let arena = Bump::new();
        let script = Script::code(
            "const reports = [{\"a\": 1}];\n  let f = (x) => {x};\nwindow.y={\"b\":2}; z == [1]",
            9,
            &arena,
        );
        let data: Vec<_> = script.data.iter().map(|(name, node)| (*name, node.render())).collect();
        assert_eq!(data, [("reports", "[{\"a\":1}]".to_owned()), ("y", "{\"b\":2}".to_owned())]);
        let again = Script::code(
            "const reports =[ {\"a\":1} ];let f = (x) => {x}; window.y= {\"b\":2}; z == [1]",
            9,
            &arena,
        );
        assert_eq!(script.hash() == again.hash(), script.code == again.code);
    }
}
