//! The command with which a person asks a backend what a sample asked.

use http::HeaderName;

/// A `curl` command for POSIX shells that asks `base` (as in `http://127.0.0.1:10001`) for `target` as it came, with
/// these headers. None if it could not be pasted safely: control characters, a target that is no path, a header whose
/// name is none.
#[must_use]
pub fn curl(base: &str, target: &str, headers: &[(String, String)]) -> Option<String> {
    if !target.starts_with('/') || target.contains(char::is_control) || base.contains(char::is_control) {
        return None;
    }
    let mut command = "curl -s --path-as-is -g".to_owned();
    for (name, value) in headers {
        HeaderName::from_bytes(name.as_bytes()).ok()?;
        if value.contains(char::is_control) {
            return None;
        }
        // A header without a value would be left out; a semicolon says that it is empty.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        command.push_str(&format!(" -H {}", quoted(&header)));
    }
    command.push_str(&format!(" {}", quoted(&format!("{}{target}", base.trim_end_matches('/')))));
    Some(command)
}

/// Text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// What a shell makes of the command's arguments.
    fn arguments(command: &str) -> Vec<String> {
        let script = format!("curl() {{ printf '%s\\n' \"$@\"; }}\n{command}\n");
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{command}");
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn check(target: &str, headers: &[(&str, &str)]) {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let command = curl("http://127.0.0.1:10001", target, &headers).unwrap();
        let mut expected = ["-s", "--path-as-is", "-g"].map(str::to_owned).to_vec();
        for (name, value) in &headers {
            let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            expected.extend(["-H".to_owned(), header]);
        }
        expected.push(format!("http://127.0.0.1:10001{target}"));
        assert_eq!(arguments(&command), expected, "{command}");
    }

    #[test]
    fn a_shell_gets_what_was_asked() {
        assert_eq!(
            curl("http://127.0.0.1:10001/", "/api/reports?q=it's", &[("Host".into(), "a.example".into())])
                .as_deref(),
            Some(
                r"curl -s --path-as-is -g -H 'Host: a.example' 'http://127.0.0.1:10001/api/reports?q=it'\''s'"
            )
        );
        check(
            "/../a?q=[1-3]&b={x}&c=$(id)`id`\\;|<>*?~#!%0a\"'",
            &[("x-a", ""), ("x-b", "'; id '\"$HOME é")],
        );
        check("/'''", &[("accept", "'"), ("accept", "''")]);
    }

    #[test]
    fn what_cannot_be_pasted_is_refused() {
        let header = |name: &str, value: &str| [(name.to_owned(), value.to_owned())];
        for target in ["", "*", "@evil.example/", "/a\nb", "/a\0", "/\u{1b}[2J", "/\u{9b}"] {
            assert_eq!(curl("http://a", target, &[]), None, "{target:?}");
        }
        for (name, value) in [("@file", "x"), ("a b", "x"), ("", "x"), ("a", "x\r\nb: y"), ("a", "\t")] {
            assert_eq!(curl("http://a", "/", &header(name, value)), None, "{name:?} {value:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn quoting_holds_for_any_text(target in "/[ -~é'\"$`\\\\]{0,40}", value in "[ -~é'\"$`\\\\]{1,40}") {
            check(&target, &[("x-y", &value)]);
        }
    }
}
