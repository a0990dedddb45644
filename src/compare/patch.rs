//! A comparison of two JSON documents as an RFC 6902 patch.

use std::collections::HashMap;

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, MoveOperation, PatchOperation, RemoveOperation, ReplaceOperation};
use serde_json::{Map, Value};

use super::align::Alignment;
use super::hash;

/// Most items of an array whose moves are told one by one: each is looked for among the others.
const MOVED_ITEMS: usize = 2048;
/// Members that name an item, best first, so that a changed one is still itself.
const NAMING: &[&str] = super::json::KEYS;

/// The patch that turns *from*'s document into *to*'s, as a JSON array of operations. None if either is not JSON, or is
/// nested more deeply than 128 levels. Both are the decoded bodies.
///
/// Numbers keep their spelling. An item that only stands elsewhere is a `move`, so is a member whose value stands under
/// another name.
#[must_use]
pub fn patch(from: &[u8], to: &[u8]) -> Option<Value> {
    let from: Value = serde_json::from_slice(from).ok()?;
    let to: Value = serde_json::from_slice(to).ok()?;
    serde_json::to_value(operations(&from, &to)).ok()
}

/// The patch as operations.
pub(super) fn operations(from: &Value, to: &Value) -> json_patch::Patch {
    let mut writer = Writer { operations: Vec::new(), path: PointerBuf::new() };
    writer.values(from, to);
    json_patch::Patch(writer.operations)
}

/// Writes operations down, each for the document as the ones before have left it.
struct Writer {
    operations: Vec<PatchOperation>,
    path: PointerBuf,
}

impl Writer {
    fn values(&mut self, from: &Value, to: &Value) {
        match (from, to) {
            _ if from == to => {}
            (Value::Object(from), Value::Object(to)) => self.objects(from, to),
            (Value::Array(from), Value::Array(to)) => self.arrays(from, to),
            _ => {
                let operation = ReplaceOperation { path: self.path.clone(), value: to.clone() };
                self.operations.push(PatchOperation::Replace(operation));
            }
        }
    }

    fn objects(&mut self, from: &Map<String, Value>, to: &Map<String, Value>) {
        let mut gone: Vec<(&String, &Value)> =
            from.iter().filter(|(name, _)| !to.contains_key(*name)).collect();
        for (name, value) in to {
            if let Some(old) = from.get(name) {
                self.within(name, |writer| writer.values(old, value));
                continue;
            }
            // Scalars are equal by chance.
            let renamed =
                gone.iter().position(|(_, old)| *old == value && (value.is_array() || value.is_object()));
            match renamed.map(|position| gone.swap_remove(position)) {
                Some((old, _)) => self.step(old, name),
                None => self.add(name, value),
            }
        }
        for (name, _) in gone {
            self.remove(name);
        }
    }

    fn arrays(&mut self, from: &[Value], to: &[Value]) {
        let alignment = Alignment::by_key(&keys(from), &keys(to));
        // From the end, so that the positions before stay what they are.
        for position in alignment.removed.iter().rev() {
            self.remove(&position.to_string());
        }
        // What is left of *from*, in its order: the position each has in *to*.
        let mut left: Vec<usize> = alignment.pairs.iter().map(|(_, j)| *j).collect();
        if !left.is_sorted() && left.len() > MOVED_ITEMS {
            let operation = ReplaceOperation { path: self.path.clone(), value: Value::from(to.to_vec()) };
            self.operations.push(PatchOperation::Replace(operation));
            return;
        }
        self.sort(&mut left);
        for position in &alignment.added {
            if let Some(value) = to.get(*position) {
                self.add(&position.to_string(), value);
            }
        }
        for (i, j) in &alignment.pairs {
            if let (Some(from), Some(to)) = (from.get(*i), to.get(*j)) {
                self.within(&j.to_string(), |writer| writer.values(from, to));
            }
        }
    }

    /// Moves the items that do not ascend to their places, the others stay.
    fn sort(&mut self, left: &mut Vec<usize>) {
        let mut sorted = left.clone();
        sorted.sort_unstable();
        for (target, wanted) in sorted.iter().enumerate() {
            let Some(at) = left.iter().position(|place| place == wanted) else { continue };
            if at == target {
                continue;
            }
            // One item that stands too early is one move, not a move of each behind it.
            let early = left.get(target).copied();
            let (source, place) = match early {
                Some(early) if left.get(target + 1) == Some(wanted) => {
                    let rank = sorted.partition_point(|place| *place < early);
                    (target, rank)
                }
                Some(_) | None => (at, target),
            };
            if source < left.len() && place < left.len() {
                let item = left.remove(source);
                left.insert(place, item);
                self.step(&source.to_string(), &place.to_string());
            }
        }
    }

    /// Goes into a member or item.
    fn within(&mut self, token: &str, write: impl FnOnce(&mut Self)) {
        self.path.push_back(token);
        write(self);
        self.path.pop_back();
    }

    fn add(&mut self, token: &str, value: &Value) {
        let operation = AddOperation { path: self.beside(token), value: value.clone() };
        self.operations.push(PatchOperation::Add(operation));
    }

    fn remove(&mut self, token: &str) {
        let operation = RemoveOperation { path: self.beside(token) };
        self.operations.push(PatchOperation::Remove(operation));
    }

    /// Moves a member or item of the present container.
    fn step(&mut self, from: &str, to: &str) {
        let operation = MoveOperation { from: self.beside(from), path: self.beside(to) };
        self.operations.push(PatchOperation::Move(operation));
    }

    fn beside(&self, token: &str) -> PointerBuf {
        let mut path = self.path.clone();
        path.push_back(token);
        path
    }
}

/// What items are paired by: a naming member that all have, else their text.
fn keys(items: &[Value]) -> Vec<u64> {
    let named = NAMING.iter().find(|name| items.iter().all(|item| item.get(name).is_some_and(is_name)));
    let mut seen: HashMap<u64, u64> = HashMap::new();
    items
        .iter()
        .map(|item| {
            let text = named.and_then(|name| item.get(name)).unwrap_or(item).to_string();
            let count = seen.entry(hash::text(&text)).or_default();
            *count += 1;
            hash::mixed(hash::text(&text), *count)
        })
        .collect()
}

fn is_name(value: &Value) -> bool {
    value.is_string() || value.is_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(from: &str, to: &str) -> String {
        let patch = patch(from.as_bytes(), to.as_bytes()).unwrap().to_string();
        let (mut document, to): (Value, Value) =
            (serde_json::from_str(from).unwrap(), serde_json::from_str(to).unwrap());
        // As operations: reading them back from JSON, json-patch refuses numbers of more than 64 bits.
        let operations = operations(&document, &to);
        json_patch::patch(&mut document, &operations).unwrap();
        assert_eq!(document, to, "{from} {patch}");
        patch
    }

    #[test]
    fn a_patch_turns_from_into_to() {
        for (from, to) in [
            (r#"{"a":[1,2],"b":1}"#, r#"{"a":[2],"c":1.0}"#),
            (r#"{"a/b":{"~":1}}"#, r#"{"a/b":{"~":2},"":3}"#),
            ("[1,1,2]", "[2,1,1,1]"),
            ("[]", "{}"),
            ("12345678901234567890123", "12345678901234567890124"),
            (r#"[{"id":1},{"id":2,"v":1}]"#, r#"[{"id":2,"v":1.0},{"id":3},{"id":1}]"#),
        ] {
            applied(from, to);
            applied(to, from);
        }
    }

    #[test]
    fn what_stands_elsewhere_is_moved() {
        assert_eq!(
            applied(r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#, r#"[{"id":2},{"id":3},{"id":4},{"id":1}]"#),
            r#"[{"op":"move","from":"/0","path":"/3"}]"#
        );
        assert_eq!(
            applied(r#"[{"id":1},{"id":2},{"id":3},{"id":4}]"#, r#"[{"id":4},{"id":1},{"id":2},{"id":3}]"#),
            r#"[{"op":"move","from":"/3","path":"/0"}]"#
        );
        assert_eq!(
            applied(r#"{"category":[1]}"#, r#"{"categories":[1]}"#),
            r#"[{"op":"move","from":"/category","path":"/categories"}]"#
        );
    }

    #[test]
    fn an_inserted_row_is_one_operation() {
        assert_eq!(
            applied(r#"[{"id":1},{"id":2}]"#, r#"[{"id":0},{"id":1},{"id":2}]"#),
            r#"[{"op":"add","path":"/0","value":{"id":0}}]"#
        );
    }

    #[test]
    fn what_is_not_json_has_no_patch() {
        assert_eq!(patch(b"<html>", b"{}"), None);
        assert_eq!(patch("[".repeat(200).as_bytes(), b"{}"), None);
    }
}
