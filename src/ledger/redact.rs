//! Blanks secrets by byte span in what is stored or shown. Comparisons see the values before that.

mod field;
mod member;

use std::borrow::Cow;

/// Names whose values are secrets, folded to lower case without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "accesstoken",
    "refreshtoken",
    "idtoken",
    "authtoken",
    "xauthtoken",
    "apikey",
    "xapikey",
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "credential",
    "credentials",
    "csrf",
    "csrftoken",
    "xcsrftoken",
    "csrfmiddlewaretoken",
    "authenticitytoken",
    "requestverificationtoken",
    "session",
    "sessionid",
    "privatekey",
    "clientsecret",
    "syncsecret",
    "ingesttoken",
    "key",
    "auth",
    "jwt",
    "signature",
];
/// Names that are secrets in a query but common data in documents.
const ONLY_IN_QUERY: &[&str] = &["key", "auth", "session", "signature"];
/// What stands in a secret's place.
pub const BLANK: &str = "***";

/// Whether a JSON member, HTML field or header of this name holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let folded = fold(name);
    SECRET_NAMES.contains(&folded.as_str()) && !ONLY_IN_QUERY.contains(&folded.as_str())
}

/// A target (path and query) with the values of secret parameters blanked.
#[must_use]
pub fn target(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return target.to_owned() };
    let parameters: Vec<Cow<'_, str>> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if SECRET_NAMES.contains(&fold(name).as_str()) => {
                Cow::Owned(format!("{name}={BLANK}"))
            }
            Some(_) | None => Cow::Borrowed(parameter),
        })
        .collect();
    format!("{path}?{}", parameters.join("&"))
}

/// A header's value as it may be stored.
#[must_use]
pub fn header(name: &str, value: &str) -> String {
    if is_secret(name) { BLANK.to_owned() } else { target(value) }
}

/// `text` (JSON, or a page with forms and JSON in it) with the values of secret members and fields blanked.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    let members = member::blanked(text);
    match field::blanked(&members) {
        Cow::Borrowed(_) => members,
        Cow::Owned(fields) => Cow::Owned(fields),
    }
}

/// Replaces these spans of `text`, which come in order and do not overlap, each by its own text.
fn replaced<'a>(text: &'a str, spans: &[(std::ops::Range<usize>, String)]) -> Cow<'a, str> {
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len());
    let mut copied = 0;
    for (span, blank) in spans {
        // Spans begin and end at ASCII characters, so always on character borders.
        kept.push_str(text.get(copied..span.start).unwrap_or_default());
        kept.push_str(blank);
        copied = span.end;
    }
    kept.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(kept)
}

fn fold(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_parameters_are_blanked_and_others_kept_byte_for_byte() {
        assert_eq!(target("/a?q=%20x&token=abc&Key=1&&b"), "/a?q=%20x&token=***&Key=***&&b");
        assert_eq!(target("/token"), "/token");
    }

    #[test]
    fn headers_that_carry_credentials_are_blanked() {
        assert_eq!(header("set-cookie", "id=1"), "***");
        assert_eq!(header("Authorization", "Bearer x"), "***");
        assert_eq!(header("location", "/a?token=x"), "/a?token=***");
        assert_eq!(header("content-type", "text/html"), "text/html");
    }

    #[test]
    fn a_page_is_blanked_in_its_forms_and_in_its_scripts() {
        let page = "<input name=csrf_token value=abc><script>const x = {\"token\":\"def\"}</script>";
        let blank = "<input name=csrf_token value=***><script>const x = {\"token\":\"***\"}</script>";
        assert_eq!(text(page), blank);
        assert!(matches!(text("plain é \" text"), Cow::Borrowed(_)));
    }
}
