//! `flipgate demo`.
/// x
#[derive(Debug, clap::Args)]
pub struct Arguments {}
/// x
pub async fn run(_a: Arguments) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
