//! A comparison of two JSON documents as an RFC 6902 patch.

/// The patch that turns *from*'s document into *to*'s, as a JSON array of operations. None if either is not JSON, or is
/// nested more deeply than 128 levels. Both are the decoded bodies.
///
/// Arrays are compared by position: for showing and applying, not for finding causes.
#[must_use]
pub fn patch(from: &[u8], to: &[u8]) -> Option<serde_json::Value> {
    let from = serde_json::from_slice(from).ok()?;
    let to = serde_json::from_slice(to).ok()?;
    serde_json::to_value(json_patch::diff(&from, &to)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_turns_from_into_to() {
        let (from, to) = (br#"{"a":[1,2],"b":1}"#, br#"{"a":[2],"c":1.0}"#);
        let patch = patch(from, to).unwrap();
        let mut document: serde_json::Value = serde_json::from_slice(from).unwrap();
        let operations: json_patch::Patch = serde_json::from_value(patch).unwrap();
        json_patch::patch(&mut document, &operations).unwrap();
        assert_eq!(document, serde_json::from_slice::<serde_json::Value>(to).unwrap());
    }

    #[test]
    fn what_is_not_json_has_no_patch() {
        assert_eq!(patch(b"<html>", b"{}"), None);
        assert_eq!(patch("[".repeat(200).as_bytes(), b"{}"), None);
    }
}
