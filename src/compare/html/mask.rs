//! Volatile tokens: what a page carries that is another one each time it is made, though nobody sees a difference.

use std::fmt;
use std::str::FromStr;

use bumpalo::Bump;
use serde::{Serialize, Serializer};

use crate::compare::difference::{UnknownName, named};

named! {
    /// A kind of volatile token that is not compared.
    Mask, "kind of volatile token" {
        /// The value of a hidden CSRF input or meta element.
        Csrf => "csrf",
        /// `nonce` attributes, and nonces in a content security policy.
        Nonce => "nonce",
        /// Hashes in the names of scripts, style sheets and images, `?v=` cache-busters and `integrity`.
        Asset => "asset",
    }
}

/// What stands in place of a token.
const MASKED: &str = "…";
/// Names of fields that hold a CSRF token, folded to letters.
const CSRF: &[&str] = &[
    "csrf",
    "csrftoken",
    "csrfparam",
    "csrfmiddlewaretoken",
    "xsrf",
    "xsrftoken",
    "authenticitytoken",
    "requestverificationtoken",
    "antiforgerytoken",
    "token",
];
/// Query parameters that make an asset's address new.
const BUSTERS: &[&str] = &["v", "ver", "version", "rev", "hash", "h", "t", "ts", "cb", "_"];
/// Shortest hash in the name of an asset, in characters; what is shorter may well be a number or a word.
const HASH_CHARACTERS: usize = 8;

/// Masks the tokens in the attributes of one element.
pub(super) fn apply<'t>(tag: &str, attributes: &mut [(&'t str, &'t str)], masks: &[Mask], arena: &'t Bump) {
    for mask in masks {
        match mask {
            Mask::Csrf => csrf(tag, attributes),
            Mask::Nonce => nonce(tag, attributes, arena),
            Mask::Asset => asset(tag, attributes, arena),
        }
    }
}

fn csrf<'t>(tag: &str, attributes: &mut [(&'t str, &'t str)]) {
    let holder = match tag {
        "input" => "value",
        "meta" => "content",
        _ => return,
    };
    let hidden = tag == "meta"
        || attributes.iter().any(|(name, value)| *name == "type" && value.eq_ignore_ascii_case("hidden"));
    let named = attributes.iter().any(|(name, value)| matches!(*name, "name" | "id") && is_csrf(value));
    if hidden && named {
        replace(attributes, holder);
    }
}

fn nonce<'t>(tag: &str, attributes: &mut [(&'t str, &'t str)], arena: &'t Bump) {
    replace(attributes, "nonce");
    if tag == "meta" {
        for (_, value) in attributes.iter_mut().filter(|(name, _)| *name == "content") {
            if value.contains("'nonce-") {
                *value = arena.alloc_str(&without_nonces(value));
            }
        }
    }
}

fn asset<'t>(tag: &str, attributes: &mut [(&'t str, &'t str)], arena: &'t Bump) {
    if !matches!(tag, "script" | "link" | "img" | "source" | "video" | "audio") {
        return;
    }
    replace(attributes, "integrity");
    for (_, value) in
        attributes.iter_mut().filter(|(name, _)| matches!(*name, "src" | "href" | "srcset" | "poster"))
    {
        if let Some(masked) = without_version(value) {
            *value = arena.alloc_str(&masked);
        }
    }
}

fn replace<'t>(attributes: &mut [(&'t str, &'t str)], attribute: &str) {
    for (_, value) in attributes.iter_mut().filter(|(name, _)| *name == attribute) {
        *value = MASKED;
    }
}

fn is_csrf(name: &str) -> bool {
    let folded: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    CSRF.contains(&folded.as_str())
}

fn without_nonces(policy: &str) -> String {
    let mut masked = String::new();
    let mut rest = policy;
    while let Some((before, after)) = rest.split_once("'nonce-") {
        masked.push_str(before);
        masked.push_str("'nonce-");
        masked.push_str(MASKED);
        rest = after.find('\'').and_then(|end| after.get(end..)).unwrap_or_default();
    }
    masked.push_str(rest);
    masked
}

/// An asset's address without hash and cache-buster; None if it has neither.
fn without_version(address: &str) -> Option<String> {
    let (path, query) = address.split_once('?').map_or((address, None), |(path, query)| (path, Some(query)));
    let (folder, file) = path.rsplit_once('/').map_or(("", path), |(folder, file)| (folder, file));
    let extension = file.rsplit_once('.').map(|(_, extension)| extension)?;
    if extension.is_empty() || extension.len() > 5 {
        return None;
    }
    let hashed = without_hash(file);
    let busted = query.and_then(without_busters);
    if hashed.is_none() && busted.is_none() {
        return None;
    }
    let slash = if path.contains('/') { "/" } else { "" };
    let file = hashed.as_deref().unwrap_or(file);
    Some(match busted.as_deref().or(query) {
        Some(query) => format!("{folder}{slash}{file}?{query}"),
        None => format!("{folder}{slash}{file}"),
    })
}

/// `app.3f9a2b1c.js` and `app-3f9a2b1c.js` as `app.….js` and `app-….js`. The part before the first separator is the
/// name, the last one the extension.
fn without_hash(file: &str) -> Option<String> {
    let (name, extension) = file.rsplit_once('.')?;
    let (stem, hash) = name.rsplit_once(['.', '-', '_'])?;
    if stem.is_empty() || !is_hash(hash) {
        return None;
    }
    let separator = name.get(stem.len()..stem.len() + 1)?;
    Some(format!("{stem}{separator}{MASKED}.{extension}"))
}

/// Letters and digits mixed, as no word and no number is.
fn is_hash(text: &str) -> bool {
    text.len() >= HASH_CHARACTERS
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().any(|byte| byte.is_ascii_digit())
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn without_busters(query: &str) -> Option<String> {
    let mut found = false;
    let parameters: Vec<String> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if BUSTERS.contains(&name) => {
                found = true;
                format!("{name}={MASKED}")
            }
            Some(_) | None => parameter.to_owned(),
        })
        .collect();
    found.then(|| parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_lose_their_hash_and_cache_buster_and_nothing_else() {
        for (address, masked) in [
            ("/static/app.3f9a2b1c.js", Some("/static/app.….js")),
            ("/static/app-3f9a2b1c0d.css", Some("/static/app-….css")),
            ("app.js?v=17", Some("app.js?v=…")),
            ("/app.js?theme=dark&v=17", Some("/app.js?theme=dark&v=…")),
            ("/app.js?theme=dark", None),
            ("/app.js", None),
            ("/report-2025.js", None),
            ("/photo-20250917.jpg", None),
            ("/jquery-migration.js", None),
            ("/page?v=2", None),
            ("https://i.ytimg.com/vi/DqBQuTuOqgY/hq.jpg", None),
        ] {
            assert_eq!(without_version(address).as_deref(), masked, "{address}");
        }
    }

    #[test]
    fn only_hidden_fields_of_known_names_hold_csrf_tokens() {
        let masked = |tag, pairs: &[(&'static str, &'static str)]| {
            let (arena, mut attributes) = (Bump::new(), pairs.to_vec());
            apply(tag, &mut attributes, Mask::ALL, &arena);
            attributes.iter().any(|(_, value)| *value == MASKED)
        };
        assert!(masked("input", &[("type", "hidden"), ("name", "csrf_token"), ("value", "a")]));
        assert!(masked("meta", &[("name", "csrf-token"), ("content", "a")]));
        assert!(!masked("input", &[("type", "text"), ("name", "csrf_token"), ("value", "a")]));
        assert!(!masked("input", &[("type", "hidden"), ("name", "page"), ("value", "a")]));
        assert!(masked("script", &[("nonce", "a")]));
    }

    #[test]
    fn nonces_leave_a_policy() {
        assert_eq!(without_nonces("script-src 'nonce-abc' 'self'"), "script-src 'nonce-…' 'self'");
        assert_eq!(without_nonces("script-src 'nonce-abc"), "script-src 'nonce-…");
    }
}
