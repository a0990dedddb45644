//! Who may use the admin side.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;

use super::Problems;
use crate::config::environment::Variables;
use crate::config::file::File;
use crate::config::{AdminConfig, Flags, Secret};

/// Longest token file read.
const TOKEN_MOST: u64 = 4096;

pub(super) fn admin(
    file: &File,
    variables: &Variables,
    flags: &Flags,
    problems: &mut Problems,
) -> AdminConfig {
    let token_file = [&flags.admin_token_file, &variables.flags.admin_token_file, &file.admin.token_file]
        .into_iter()
        .flatten()
        .next();
    let token = match &variables.admin_token {
        Some(token) if flags.admin_token_file.is_none() => Some(token.clone()),
        Some(_) | None => token_file.and_then(|path| problems.note(token(path))),
    };
    let read_token = match &variables.admin_read_token {
        Some(token) => Some(token.clone()),
        None => file.admin.read_token_file.as_ref().and_then(|path| problems.note(self::token(path))),
    };
    AdminConfig { token, read_token, open_metrics: file.admin.open_metrics, hosts: file.admin.hosts.clone() }
}

/// Reads a file that holds a token and nothing else.
///
/// # Errors
/// Says which file, and why it cannot be read.
pub fn token(path: &Path) -> Result<Secret, String> {
    let problem = |why: String| format!("token file {}: {why}", path.display());
    let file = std::fs::File::open(path).map_err(|e| problem(e.to_string()))?;
    let mut text = String::new();
    file.take(TOKEN_MOST).read_to_string(&mut text).map_err(|e| problem(e.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(problem("it is empty; write the token on its first line".into()));
    }
    Ok(Secret::new(token.to_owned()))
}

pub(super) fn check_admin(listen: Option<SocketAddr>, admin: &AdminConfig, problems: &mut Problems) {
    if let Some(address) = listen
        && !address.ip().to_canonical().is_loopback()
        && admin.token.is_none()
    {
        problems.0.push(format!(
            "admin_listen {address} is reachable from outside and there is no token; set --admin-token-file or \
             FLIPGATE_ADMIN_TOKEN, or listen on 127.0.0.1"
        ));
    }
    if admin.read_token.is_some() && admin.token.is_none() {
        problems
            .0
            .push("a read-only admin token without a full one would lock everybody out; set both".into());
    }
}
