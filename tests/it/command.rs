//! Commands that end: `flipgate migrate`, `verify`, …, as a user runs them.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs `flipgate` with these arguments, and nothing of the caller's environment that could change what it does.
pub(crate) async fn flipgate(arguments: &[&str]) -> Told {
    let output = command(arguments).output().await.unwrap();
    Told::of(output)
}

/// The command, not started yet.
pub(crate) fn command(arguments: &[&str]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flipgate"));
    command.args(arguments).env_remove("DATABASE_URL").env_remove("RUST_LOG");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLIPGATE_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A path as `--from`, `--to` and `--sqlite` take it.
pub(crate) fn sqlite(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

impl Told {
    pub(crate) fn of(output: std::process::Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = output.status.code().unwrap_or(-1);
        Self { code, out: text(output.stdout), err: text(output.stderr) }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts that it could not run, and that it said why in one sentence which holds `words`.
    pub(crate) fn assert_one_sentence(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        let said: Vec<&str> = self.err.lines().filter(|line| line.starts_with("flipgate: ")).collect();
        assert_eq!(said.len(), 1, "{self:?}");
        assert!(said[0].contains(words), "{words:?} is not in {self:?}");
        assert!(!self.err.contains("panicked"), "{self:?}");
    }
}
